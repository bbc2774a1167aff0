"""Everything that the documents of a run say, gathered from its artifacts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from safetensors import safe_open

from lesionlens.bundle.card_limits import Limit, limits
from lesionlens.core.run import Run
from lesionlens.export.provenance import INTENDED_USE, licences, origin
from lesionlens.reporting.documents import assessed_decisions, assessed_external, assessed_robustness, assessed_subgroups
from lesionlens.reporting.documents.people import people
from lesionlens.reporting.documents.results import Results, check_finite, read_results, reading
from lesionlens.reporting.documents.stated import NOTHING, Stated
from lesionlens.reporting.run_folder import RunContents
from lesionlens.training.history import training_time

ASSESSMENTS = {"decisions": assessed_decisions, "subgroups": assessed_subgroups, "robustness": assessed_robustness}
NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked")  # buffers of batch norms


@dataclass(frozen=True)
class RunFacts:
    """A run as its documents tell it.

    Attributes:
        run: the artifacts.
        card: in the shape of bundle.json, with the run's own `scores`; `calibrated_scores` are those of the bundle.
            Without a bundle it has no `variants`, `temperature`, `gate`, `decision` and `outputs`.
        results: the optional results.
        stated: what only people know.
        people: counts by split.
        parameters: trained weights of the network; None without a checkpoint.
        limits: most important first.
        limits_beyond: those of them that the assessments show, and `card` alone does not.
    """

    run: RunContents
    card: dict[str, Any]
    results: Results
    stated: Stated
    people: dict[str, dict[str, Any]]
    parameters: int | None
    limits: tuple[Limit, ...]
    limits_beyond: tuple[Limit, ...]

    @property
    def exported(self) -> bool:
        """Whether there is a bundle of this checkpoint."""
        return "variants" in self.card

    @property
    def synthetic(self) -> bool:
        """Whether a program drew the images."""
        return self.run.synthetic


def gather(run: RunContents, stated: Stated = NOTHING) -> RunFacts:
    """Gather the facts of a run.

    Args:
        run: as `read_run` gives it.
        stated: what only people know.

    Raises:
        ArtifactError: if a result is damaged or holds a number that is not finite.
        BundleError: if the bundle is damaged.
    """
    check_finite(run.scores, run.paths.scores)
    if run.audit is not None:
        check_finite(run.audit, run.paths.audit)
    results = read_results(run)
    card = _card(run, results, stated)
    beyond = _limits_beyond(results, run.paths)
    ranked = tuple(limits(card, beyond))
    return RunFacts(run, card, results, stated, people(run.index, run.split), _parameters(run), ranked, beyond)


def _card(run: RunContents, results: Results, stated: Stated) -> dict[str, Any]:
    """The facts that the card needs, in the shape of bundle.json."""
    bundle = results.get("bundle")
    base = _of_run(run) if bundle is None else dict(bundle)
    model, data_licence = run.recipe.model, stated.text("data_licence")
    if data_licence or bundle is None:
        base["licences"] = licences(base["origin"]["source"], model.name, model.weights, data_licence)
    return base | {
        "name": run.recipe.name,
        "scores": run.scores,
        "calibrated_scores": None if bundle is None else bundle["scores"],
        "training": _training(run, stated),
        "external": sorted(results.external),
        "skin_tone": _has_skin_tone(results, run.paths),
    }


def _has_skin_tone(results: Results, paths: Run) -> bool:
    content = results.get("subgroups")
    with reading("subgroups", paths):
        return content is not None and assessed_subgroups.has_skin_tone(content)


def _limits_beyond(results: Results, paths: Run) -> tuple[Limit, ...]:
    """The limits that the assessments show."""
    found: list[Limit] = []
    for name, module in ASSESSMENTS.items():
        content = results.get(name)
        if content is not None:
            with reading(name, paths):
                found += module.limits(content)
    if results.external:
        with reading("external", paths):
            found += assessed_external.limits(results.external)
    return tuple(found)


def _of_run(run: RunContents) -> dict[str, Any]:
    """What a bundle would say of a run that was not exported."""
    info, made_from = run.checkpoint or {}, run.scores["made_from"]
    hashes = {"index": run.index.hash, "split": run.split.hash}
    hashes |= {name: made_from[name] for name in ("checkpoint", "store") if name in made_from}
    source = "synthetic" if run.synthetic else run.index.source
    spec = {
        "size": run.recipe.input.size,
        "frame": run.recipe.input.frame or run.recipe.input.size,
        "resize": run.recipe.input.resize,
    }
    return {
        "labels": run.labels.to_json(),
        "input": info.get("spec", spec),
        "origin": origin(run.recipe, source, run.split, hashes, info.get("epoch"), bool(info.get("averaged"))),
        "versions": {"training": info.get("versions", {}), "export": {}},
        "intended_use": INTENDED_USE,
    }


def _training(run: RunContents, stated: Stated) -> dict[str, Any] | None:
    """Time of the training and, where the power is stated, an estimate of its energy."""
    if not run.history:
        return None
    epoch = (run.checkpoint or {}).get("epoch")
    best = max((each.epoch for each in run.history if each.best), default=None)
    time = training_time(run.history, best if epoch is None else epoch)
    if stated.watts is None:
        return time
    kwh = stated.watts * time["seconds"] / 3.6e6
    grams = None if stated.grams_co2_per_kwh is None else kwh * stated.grams_co2_per_kwh
    return {**time, "watts": stated.watts, "kwh": kwh, "grams_co2_per_kwh": stated.grams_co2_per_kwh, "grams_co2": grams}


def _parameters(run: RunContents) -> int | None:
    """Number of trained weights, from the header of the checkpoint alone."""
    if not run.checkpoint_hash:
        return None
    with safe_open(run.paths.best, framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if not name.endswith(NOT_TRAINED)]  # noqa: SIM118
    return int(sum(math.prod(shape) for shape in shapes))
