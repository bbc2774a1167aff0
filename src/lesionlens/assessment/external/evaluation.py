"""Evaluate a frozen model on images that it was not trained with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.assessment.external.binary import Cases, malignant_metrics, watched_metrics
from lesionlens.assessment.external.centres import key_figures
from lesionlens.assessment.external.conformal_shift import coverage_under_shift
from lesionlens.assessment.external.flow import image_flow, outcomes_of
from lesionlens.assessment.external.frozen_model import FrozenModel
from lesionlens.assessment.external.image_set import ImageSet, cluster_names, read_images
from lesionlens.assessment.external.intention import REFUSED_OPTIONS, UNREADABLE, Intended, intention_lines
from lesionlens.assessment.external.label_mapping import LabelMapping, map_labels, read_stated
from lesionlens.assessment.external.leak_screening import Screening, screen
from lesionlens.assessment.external.official import official_metrics
from lesionlens.assessment.external.shift import colour_shift, distance_shift, file_facts, prior_shift
from lesionlens.assessment.external.training_images import TrainingImages
from lesionlens.assessment.external.views import by_lesion, closed_set, view_scores
from lesionlens.bundle.decision import watched_codes
from lesionlens.bundle.gate import GateResult
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.data.image import centre_crop
from lesionlens.data.index import Index, Record
from lesionlens.evaluation.predictions import Origin, Predictions

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SPLIT = "external"


@dataclass(frozen=True)
class ExternalSettings:
    """How external images are evaluated.

    Attributes:
        name: of the set, and of its folder.
        mappings: labels of the data and classes of the model, each `TRUE=MODEL`.
        keep_leaks: whether images that the model may have been fitted on are scored.
        refused: how images without a diagnosis count: `wrong`, `excluded` or `both`.
        resamples: of the bootstrap; 0 takes the model's recipe.
        confidence: level of the intervals; 0 takes the model's recipe.
    """

    name: str
    mappings: tuple[str, ...] = ()
    keep_leaks: bool = False
    refused: str = "both"
    resamples: int = 0
    confidence: float = 0.0

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise RecipeError(
                f"name {self.name!r} of a data set; it must be up to 64 letters, digits, dots, hyphens and underscores, such as "
                "--name clinic-2024"
            )
        if self.refused not in REFUSED_OPTIONS:
            raise RecipeError(f"--refused {self.refused!r}; it must be one of {', '.join(REFUSED_OPTIONS)}")
        EvaluationRecipe().overridden(resamples=self.resamples, confidence=self.confidence)


@dataclass(frozen=True)
class OwnResults:
    """Results of the model on its own data, which external ones stand beside.

    Attributes:
        internal: the row of its own test split, see `centres.internal_row`; None if it is not known.
        decisions: content of its decisions.json; None if there is none.
    """

    internal: dict[str, Any] | None = None
    decisions: dict[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class ExternalEvaluation:
    """The result of one external evaluation.

    Attributes:
        content: of external.json.
        predictions: of the images whose diagnosis is a class of the model.
        rows: of cases.csv, one for each image of the index.
    """

    content: dict[str, Any]
    predictions: Predictions
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Readable images that are scored, and what the model says of them."""

    records: tuple[Record, ...]
    cases: Cases
    gate_results: list[GateResult]
    outcomes: np.ndarray


def evaluate_external(
    model: FrozenModel,
    index: Index,
    training: TrainingImages | None,
    settings: ExternalSettings,
    own: OwnResults | None = None,
    reporter: Reporter = SILENT,
) -> ExternalEvaluation:
    """Predict the images of an index that the model was not trained with, and score them in every way of docs/external.md.

    Args:
        model: frozen; nothing of it is fitted here.
        index: external images with their diagnoses.
        training: images that the model was fitted on, to find them among these; None if nothing is known of them.
        settings: name, mapping, what to do with leaks and refused images.
        own: results on the model's own data; None if there are none.
        reporter: told of progress.

    Raises:
        DataError: if the index is the model's own, a label cannot be mapped, or no image is left to score.
        RecipeError: if a stated mapping names what the data or the model lack.
    """
    if index.hash == model.hashes.get("index"):
        raise DataError(
            f"the index of {index.root} is the one that the model was trained with, so it is not external; score its test split "
            "with: lesionlens evaluate CHECKPOINT"
        )
    dx = [record.dx for record in index.records]
    mapping = map_labels(index.labels, model.labels, read_stated(settings.mappings), dx)
    with read_images(index, model.spec, reporter) as images:
        screening = screen(images.prints, images.records, training)
        scored = np.ones(len(images), bool) if settings.keep_leaks else ~screening.leaked
        if not scored.any():
            raise DataError(
                f"all {len(images)} readable images of {index.root} are among the images that the model was fitted on, or share "
                "their lesion or patient; nothing external is left. Score them all the same with --keep-leaks"
            )
        predicted = _predict(model, images, np.flatnonzero(scored), mapping, reporter)
        facts = {"colour": colour_shift(images.colours[scored], model.reference), "files": file_facts(images)}
    content, predictions = _content(model, images, screening, predicted, mapping, settings)
    own = own or OwnResults()
    temperature = float(model.settings["temperature"])
    content |= {
        "shift": {**_shift(model, predicted, predictions), **facts},
        "conformal": coverage_under_shift(own.decisions, predictions, temperature, content["confidence"]),
        "internal": own.internal,
    }
    return ExternalEvaluation(content, predictions, _rows(images, screening, predicted, mapping, settings))


def _predict(model: FrozenModel, images: ImageSet, rows: np.ndarray, mapping: LabelMapping, reporter: Reporter) -> _Predicted:
    probabilities, gate_results = [], []
    with reporter.bar("Predicting", len(rows)) as advance:
        for start in range(0, len(rows), model.batch_size):
            some = rows[start : start + model.batch_size]
            pixels = np.ascontiguousarray(centre_crop(images.frames[some], model.spec.size))
            outputs = model.run(pixels)
            probabilities.append(outputs.probabilities)
            if model.gate is not None:
                items = zip(images.sizes[some].tolist(), pixels, outputs.features, strict=True)
                gate_results += [model.gate.check((width, height), image, features) for (width, height), image, features in items]
            advance(len(some))
    records = tuple(images.records[row] for row in rows)
    cases = _cases(model, images.index, records, np.concatenate(probabilities), mapping)
    usable = np.array([result.usable for result in gate_results]) if gate_results else np.ones(len(rows), bool)
    unsure = np.zeros(len(rows), bool) if model.decision is None else model.decision.unsure(cases.probabilities, model.labels)
    return _Predicted(records, cases, gate_results, outcomes_of(usable, unsure))


def _cases(
    model: FrozenModel, index: Index, records: tuple[Record, ...], probabilities: np.ndarray, mapping: LabelMapping
) -> Cases:
    dx = [record.dx for record in records]
    decision = model.decision
    codes = decision.watched if decision is not None and decision.watched else watched_codes(model.labels)
    watched, clusters = mapping.watched(dx, codes), cluster_names(index, records, by_patient=True)
    return Cases(probabilities, mapping.labels(dx), mapping.malignant(dx), watched, clusters, model.labels)


def _content(
    model: FrozenModel,
    images: ImageSet,
    screening: Screening,
    predicted: _Predicted,
    mapping: LabelMapping,
    settings: ExternalSettings,
) -> tuple[dict[str, Any], Predictions]:
    index, cases = images.index, predicted.cases
    recipe = EvaluationRecipe(resamples=model.resamples, confidence=model.confidence)
    recipe = recipe.overridden(resamples=settings.resamples, confidence=settings.confidence)
    if not (cases.labels >= 0).any():
        raise DataError(f"no image of {index.root} that is left to score shows a class of the model; nothing can be scored")
    predictions = closed_set(cases, predicted.records, _origin(model, images, predicted, settings))
    leaks = screening.to_json(images.records, settings.keep_leaks)
    intended = _intended(model, images, predicted, mapping)
    by_image = _scores(cases, predictions, recipe, model)
    content = {
        "format": FORMAT,
        "name": settings.name,
        "made_from": {**model.hashes, "index": index.hash},
        "model": {"name": model.name, "kind": model.kind, "labels": model.labels.to_json(), "views": model.views},
        "frozen": model.settings,
        "data": _data(index),
        "confidence": recipe.confidence,
        "resamples": recipe.resamples,
        "mapping": mapping.to_json([record.dx for record in predicted.records]),
        "unreadable": images.unreadable,
        "leaks": leaks,
        "flow": image_flow(len(index), leaks, intended),
        "intention": intention_lines(intended, settings.refused, recipe.confidence),
        "image": by_image,
        "lesion": _lesion_scores(predicted, predictions.origin, index, recipe, model),
    }
    content["key_figures"] = key_figures(content)
    return content, predictions


def _scores(cases: Cases, predictions: Predictions, recipe: EvaluationRecipe, model: FrozenModel) -> dict[str, Any]:
    """Everything that can be scored by image and by lesion alike."""
    return {
        "n": len(cases),
        **view_scores(predictions, recipe.resamples, recipe.confidence),
        "official": official_metrics(predictions.probabilities, predictions.labels, predictions.label_set),
        "melanoma": watched_metrics(cases, model.decision, recipe.confidence),
        "malignant": malignant_metrics(cases, recipe.confidence),
    }


def _lesion_scores(
    predicted: _Predicted, origin: Origin, index: Index, recipe: EvaluationRecipe, model: FrozenModel
) -> dict[str, Any]:
    """The same by lesion, or why they would repeat those by image."""
    lesions = cluster_names(index, predicted.records, by_patient=False)
    if len(np.unique(lesions)) == len(lesions):
        has_lesions = any(record.has_lesion_id for record in predicted.records)
        return {
            "reason": "every lesion has one image"
            if has_lesions
            else "the data name no lesions, so every image is one of its own"
        }
    cases, rows, n_contradicting = by_lesion(predicted.cases, lesions)
    if not (cases.labels >= 0).any():
        return {"reason": "no lesion with one diagnosis that is a class of the model"}
    predictions = closed_set(cases, tuple(predicted.records[row] for row in rows), origin)
    return {"n_contradicting": n_contradicting, **_scores(cases, predictions, recipe, model)}


def _origin(model: FrozenModel, images: ImageSet, predicted: _Predicted, settings: ExternalSettings) -> Origin:
    return Origin(
        name=f"{model.name} on {settings.name}",
        seed=model.seed,
        protocol=SPLIT,
        leaks=False,
        leak_rate=None,
        split=SPLIT,
        views=model.views,
        precision=model.precision,
        n_dropped=len(images.unreadable),
        hashes={"checkpoint": model.hashes["checkpoint"], "index": images.index.hash},
        n_unknown_lesion=sum(not record.has_lesion_id for record in predicted.records),
    )


def _intended(model: FrozenModel, images: ImageSet, predicted: _Predicted, mapping: LabelMapping) -> Intended:
    """The scored images, and the unreadable ones behind them."""
    unreadable = tuple(record for record in images.index.records if record.image_id in images.unreadable)
    nothing = np.zeros((len(unreadable), len(model.labels)), np.float32)
    records = (*predicted.records, *unreadable)
    probabilities = np.concatenate([predicted.cases.probabilities, nothing])
    outcomes = np.concatenate([predicted.outcomes, np.full(len(unreadable), UNREADABLE)])
    return Intended(_cases(model, images.index, records, probabilities, mapping), outcomes)


def _shift(model: FrozenModel, predicted: _Predicted, predictions: Predictions) -> dict[str, Any]:
    return {
        "distance": distance_shift(predicted.gate_results, model.gate, model.reference),
        "prior": prior_shift(predictions.probabilities, predictions.labels, model.labels, model.reference),
    }


def _data(index: Index) -> dict[str, Any]:
    summary = index.summary()
    names = ("source", "images", "lesions", "patients", "without_lesion_id", "without_patient_id", "by_dx")
    return {name: summary[name] for name in names}


def _rows(
    images: ImageSet, screening: Screening, predicted: _Predicted, mapping: LabelMapping, settings: ExternalSettings
) -> tuple[dict[str, Any], ...]:
    """One row for each image of the index: its diagnosis, its outcome, and its probabilities."""
    codes = mapping.model.codes
    leaks = {images.records[match.row].image_id: match.kind for match in reversed(screening.matches) if match.is_certain}
    number_of = {record.image_id: number for number, record in enumerate(predicted.records)}
    model_code = {row.diagnosis.code: row.model_code for row in mapping.rows}
    rows = []
    for record in images.index.records:
        row: dict[str, Any] = {"image_id": record.image_id, "lesion_id": record.lesion_id, "dx": record.dx}
        row |= {"model_dx": model_code[record.dx], "leak": leaks.get(record.image_id, "")}
        number = number_of.get(record.image_id)
        if number is None:
            outcome = UNREADABLE if record.image_id in images.unreadable else "leaked"
            rows.append({**row, "outcome": outcome, "reasons": images.unreadable.get(record.image_id, "")})
            continue
        row |= {"outcome": str(predicted.outcomes[number]), "reasons": _reasons(predicted.gate_results, number)}
        values: Sequence[float] = predicted.cases.probabilities[number].tolist()
        rows.append(row | {f"p_{code}": value for code, value in zip(codes, values, strict=True)})
    return tuple(rows)


def _reasons(results: list[GateResult], number: int) -> str:
    return " ".join(results[number].reasons) if results else ""
