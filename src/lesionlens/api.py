"""The public functions of LesionLens, as `import lesionlens as ll` shows them.

Each runs one stage or the whole pipeline, as the command of the same name does. Heavy libraries are imported
inside the functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe, SplitRecipe
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.run import Run

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lesionlens.assessment.assess import AssessmentSettings
    from lesionlens.assessment.external.evaluation import ExternalSettings
    from lesionlens.data.audit.audit import Audit
    from lesionlens.data.dataset import Dataset
    from lesionlens.data.index import Index
    from lesionlens.data.split import Split
    from lesionlens.training.history import Epoch


def run(
    recipe: str | Path | Recipe,
    data: str | Path | None,
    folder: str | Path = "runs/run",
    *,
    overrides: Sequence[str] = (),
    until: str = "",
    skip: Sequence[str] = (),
    reporter: Reporter = SILENT,
) -> Run:
    """Run the whole pipeline, from images to a report; stages that are up to date are skipped.

    Args:
        recipe: a recipe, its name, or the path of a TOML file.
        data: folder of images, or a CSV that lists them; None draws the embedded synthetic images.
        folder: run folder; every artifact goes there.
        overrides: `section.key=value` changes to the recipe.
        until: stop after this stage.
        skip: stages to leave out.
        reporter: told of messages and progress.

    Returns:
        The paths of the run.

    Raises:
        LesionLensError: naming problem, value, rule and remedy; what was finished is kept.

    Example:
        >>> finished = ll.run("light", "data/HAM10000", "runs/light")  # doctest: +SKIP
        >>> finished.report.name  # doctest: +SKIP
        'report.html'
    """
    from lesionlens.pipeline.execution import execute, plan
    from lesionlens.pipeline.job import ImageSource, Job
    from lesionlens.pipeline.preflight import check_stages
    from lesionlens.pipeline.stages import STAGES

    source = ImageSource(None if data is None else Path(data))
    job = Job(Run.at(Path(folder)), _resolved(recipe, overrides), source, reporter)
    todo = plan(STAGES, job, until=until, skip=skip)
    check_stages(job.recipe, todo, resume=job.run.last.exists())
    for step in execute(STAGES, job, todo):
        reporter.note(f"{step.name}: {step.text}")
    return job.run


def train(
    recipe: str | Path | Recipe,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    restart: bool = False,
    reporter: Reporter = SILENT,
) -> list[Epoch]:
    """Train a network on the index, split, plan and store of a run folder, or resume where an earlier call stopped.

    Args:
        recipe: a recipe, its name, or the path of a TOML file.
        folder: run folder with index.csv, split.json, plan.csv and store/.
        overrides: `section.key=value` changes to the recipe.
        restart: train from scratch even if a checkpoint can be resumed.
        reporter: told of progress and of every epoch.

    Returns:
        All finished epochs with their metrics.

    Raises:
        ArtifactError: if an artifact is missing, damaged or made from another.
        CheckpointError: if the folder holds another training and `restart` is not set.

    Example:
        >>> epochs = ll.train("light", "runs/light")  # doctest: +SKIP
        >>> max(epoch.validation["balanced_accuracy"] for epoch in epochs)  # doctest: +SKIP
        0.744
    """
    from lesionlens.pipeline.model_stages import train as train_network
    from lesionlens.training.distributed import join_world
    from lesionlens.training.history import read_history

    paths = Run.at(Path(folder))
    with join_world() as world:
        train_network(paths, _resolved(recipe, overrides), world, restart, reporter)
    return list(read_history(paths.history))


def evaluate(
    checkpoint: str | Path, *, split: str = "test", out: str | Path | None = None, reporter: Reporter = SILENT
) -> dict[str, Any]:
    """Predict one split with a checkpoint and score it, with intervals by lesion.

    Args:
        checkpoint: best.safetensors of a run.
        split: `train`, `validation` or `test`.
        out: folder for predictions.npz and scores.json; the run folder if None.
        reporter: told of progress.

    Returns:
        The content of scores.json: `metrics` and `per_class`, each metric with `value`, `low` and `high`.

    Raises:
        CheckpointError: if the checkpoint was trained with another split, other pixels or other diagnoses.

    Example:
        >>> scores = ll.evaluate("runs/light/train/best.safetensors")  # doctest: +SKIP
        >>> scores["metrics"]["balanced_accuracy"]  # doctest: +SKIP
        {'value': 0.735, 'low': 0.687, 'high': 0.785}
    """
    from lesionlens.evaluation.evaluate import PredictionSettings
    from lesionlens.pipeline.model_stages import evaluate as evaluate_checkpoint

    paths = Run.of_checkpoint(Path(checkpoint))
    paths = paths if out is None else paths.with_scores_in(Path(out))
    return evaluate_checkpoint(paths, PredictionSettings(split=split), Path(checkpoint), reporter).content


def evaluate_external(
    model: str | Path,
    index: str | Path,
    settings: ExternalSettings | None = None,
    *,
    out: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Evaluate a bundle or a checkpoint on images that it was not trained with; nothing of it is fitted to them.

    Args:
        model: folder of a bundle (no torch is loaded), or best.safetensors of a run.
        index: index.csv of the images, from `lesionlens index`.
        settings: name of the set, mapping of its labels, and what counts; the index's name and defaults if None.
        out: folder of the results; `external/NAME` of the model's run if None.
        reporter: told of progress.

    Returns:
        The content of external.json: `flow`, `leaks`, `mapping`, `image` and `lesion` scores, `shift`; see docs/external.md.

    Raises:
        DataError: if the index is the model's own, a label cannot be mapped, or nothing is left to score.

    Example:
        >>> result = ll.evaluate_external("bundle", "clinic/index.csv")  # doctest: +SKIP
        >>> result["key_figures"]["image"]["figures"]["melanoma_auc"]["value"]  # doctest: +SKIP
        0.861
    """
    from lesionlens.assessment.external.evaluation import ExternalSettings
    from lesionlens.pipeline.external_stage import ExternalSources, default_name, evaluate_external_set

    sources = ExternalSources(Path(model), Path(index), out=None if out is None else Path(out))
    settings = settings or ExternalSettings(default_name(Path(index)))
    return evaluate_external_set(sources, settings, reporter=reporter).content


def assess(folder: str | Path, settings: AssessmentSettings | None = None) -> dict[str, dict[str, Any]]:
    """Assess the stored predictions of a run: calibration, operating points, costs and conformal sets.

    Everything is chosen on the validation split and reported on the test split, both of which `evaluate` predicts.

    Args:
        folder: run folder with predictions.npz and validation.npz.
        settings: resamples, and what is known of a clinic; `AssessmentSettings()` if None.

    Returns:
        The content of each result by name, such as `decisions`; see `assessment.decisions.assess_decisions`.

    Raises:
        ArtifactError: if the predictions are missing, damaged or do not belong together.
        RecipeError: if the settings do not fit the diagnoses.

    Example:
        >>> decisions = ll.assess("runs/light")["decisions"]  # doctest: +SKIP
        >>> decisions["recalibration"]["method"]  # doctest: +SKIP
        'temperature'
    """
    from lesionlens.assessment.assess import assess as assess_run

    return assess_run(Run.at(Path(folder)), settings)


def open_dataset(folder: str | Path) -> Dataset:
    """Open index, split and packed images of a run folder, checked to belong together.

    Raises:
        ArtifactError: if one is missing, damaged, or made from another.

    Example:
        >>> dataset = ll.open_dataset("runs/light")  # doctest: +SKIP
        >>> dataset.store.images.shape, len(dataset.ids("test"))  # doctest: +SKIP
        ((10015, 224, 224, 3), 2003)
    """
    from lesionlens.data.dataset import Dataset

    return Dataset.of_run(Run.at(Path(folder)))


def audit(data: str | Path | Index, *, reporter: Reporter = SILENT) -> Audit:
    """Find unreadable files, duplicates, missing fields and labels that disagree.

    Args:
        data: folder of images, a CSV that lists them, or an index.
        reporter: told of progress.

    Example:
        >>> ll.audit("data/HAM10000").summary()  # doctest: +SKIP
        '10015 images of 7470 lesions: ...'
    """
    from lesionlens.data.audit.audit import audit_index
    from lesionlens.data.audit.corrections import listed_pairs

    index = _index(data)
    with reporter.bar("Auditing", len(index)) as advance:
        return audit_index(index, listed_pairs(index), progress=advance)


def split(
    data: str | Path | Index, *, pairs: Iterable[tuple[str, str]] = (), recipe: SplitRecipe | None = None, **settings: Any
) -> Split:
    """Split images into train, validation and test; images of one lesion stay together.

    Args:
        data: folder of images, a CSV that lists them, or an index.
        pairs: pairs of image ids known to show one lesion under two ids.
        recipe: how; `SplitRecipe()` if None.
        settings: fields of `SplitRecipe` to change, such as `protocol="lesion-kfold"` or `seed=1`.

    Raises:
        SplitError: if a diagnosis has too few lesions, or the split leaks under a protocol that must not.

    Example:
        >>> made = ll.split("data/HAM10000", seed=1)  # doctest: +SKIP
        >>> len(made.ids["test"]), made.leak_rate["test"]  # doctest: +SKIP
        (2003, 0.0)
    """
    from lesionlens.data.audit.corrections import listed_pairs
    from lesionlens.data.split import make_split

    index = _index(data)
    return make_split(index, replace(recipe or SplitRecipe(), **settings), (*listed_pairs(index), *pairs))


def grad_cam(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Grad-CAM maps of all classes in closed form, with the logits, from one forward pass and without autograd.

    Args:
        network: a network of timm in evaluation mode whose last stage is followed by global average pooling, perhaps
            a LayerNorm, and a linear classifier.
        images: normalised, float (N, 3, H, W).

    Returns:
        Logits (N, K) and raw maps (N, K, h, w), all at least 0.

    Raises:
        ModelError: if the network's head has another form; `explanation.build_explainer` explains those.

    Example:
        The map of a class sums to the part of its logit that grows with the features:

        >>> import torch, timm  # doctest: +SKIP
        >>> network = timm.create_model("test_convnext", num_classes=7).eval()  # doctest: +SKIP
        >>> logits, maps = ll.grad_cam(network, torch.rand(2, 3, 64, 64))  # doctest: +SKIP
        >>> logits.shape, maps.shape[:2]  # doctest: +SKIP
        (torch.Size([2, 7]), torch.Size([2, 7]))
    """
    import torch

    from lesionlens.explanation.cam import ExplainedNetwork

    with torch.inference_mode():
        logits, _, maps = ExplainedNetwork(network, images.shape[-1])(images)
    return logits, maps


def _resolved(recipe: str | Path | Recipe, overrides: Sequence[str]) -> Recipe:
    if isinstance(recipe, Recipe):
        from lesionlens.core.recipe_file import recipe_from

        return recipe_from(recipe.to_json(), overrides) if overrides else recipe
    return load_recipe(recipe, overrides)


def _index(data: str | Path | Index) -> Index:
    from lesionlens.core.artifact import stamp_path
    from lesionlens.data.index import Index, read_index
    from lesionlens.data.sources.source import read_source

    if isinstance(data, Index):
        return data
    path = Path(data)
    return read_index(path) if stamp_path(path).is_file() else read_source(path)
