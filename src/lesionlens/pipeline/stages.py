"""The stages of the pipeline, in order. Each is one function, one command and one artifact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lesionlens.assessment.assess import AssessmentSettings
from lesionlens.compression.source import CompressionSettings
from lesionlens.core.artifact import hash_file, hash_value
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import frame_spec
from lesionlens.data.index import read_index
from lesionlens.evaluation.evaluate import PredictionSettings
from lesionlens.explanation.masks import has_masks
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.export.export import ExportSettings
from lesionlens.pipeline import assessment_stages, data_stages, delivery_stages, model_stages
from lesionlens.pipeline.data_stages import SYNTHETIC_IMAGES
from lesionlens.pipeline.execution import Stage
from lesionlens.pipeline.job import ImageSource, Job, StageResult
from lesionlens.pipeline.preflight import check_split
from lesionlens.reporting.documents.results import EXTERNAL_FILE
from lesionlens.reporting.documents.stated import FILE as STATED_FILE
from lesionlens.synthetic.dataset import VERSION as SYNTHETIC_VERSION
from lesionlens.training.distributed import join_world


def _index(job: Job) -> StageResult:
    result = data_stages.index(job.run, job.source, job.recipe.seed, job.reporter)
    check_split(read_index(job.run.index), job.recipe)
    return result


def _audit(job: Job) -> StageResult:
    return data_stages.audit(job.run, reporter=job.reporter)


def _split(job: Job) -> StageResult:
    return data_stages.split(job.run, job.recipe.split, (job.run.audit,), job.reporter)


def _augment(job: Job) -> StageResult:
    return model_stages.augment(job.run, job.recipe)


def _pack(job: Job) -> StageResult:
    return data_stages.pack(job.run, job.recipe, reporter=job.reporter)


def _train(job: Job) -> StageResult:
    with join_world() as world:
        return model_stages.train(job.run, job.recipe, world, job.restart, job.reporter)


def _evaluate(job: Job) -> StageResult:
    result = model_stages.evaluate(job.run, _prediction_settings(job), reporter=job.reporter)
    job.run.write_recipe(job.recipe)
    job.reporter.note(result.text)
    return result


def _prediction_settings(job: Job) -> PredictionSettings:
    recipe = job.recipe.evaluation
    return PredictionSettings(views=recipe.views, resamples=recipe.resamples, confidence=recipe.confidence)


def _assess(job: Job) -> StageResult:
    model_stages.predict_validation(job.run, _prediction_settings(job), job.reporter)
    recipe = job.recipe.evaluation
    return assessment_stages.assess(job.run, AssessmentSettings(recipe.resamples, recipe.confidence))


def _explain(job: Job) -> StageResult:
    dataset = Dataset.of_run(job.run)
    masks = has_masks(dataset.index, dataset.records("test"))
    settings = ExplainSettings(
        method="auto", masks=masks, occlusion_images=job.recipe.explanation.occlusion_images, seed=job.recipe.seed
    )
    result = model_stages.explain(job.run, settings, reporter=job.reporter)
    job.reporter.note(result.text)
    return result


def _export(job: Job) -> StageResult:
    return delivery_stages.export(job.run, ExportSettings(), reporter=job.reporter)


def _compress(job: Job) -> StageResult:
    result = delivery_stages.compress(job.run, job.recipe.compression, CompressionSettings(), reporter=job.reporter)
    job.reporter.note(result.text)
    return result


def _predict(job: Job) -> StageResult:
    return delivery_stages.predict_example(job.run)


def _report(job: Job) -> StageResult:
    return delivery_stages.report(job.run)


def _documents(job: Job) -> StageResult:
    return delivery_stages.documents(job.run)


def _shown(job: Job) -> Any:
    """What report and documents read beyond the stages: the name, results of commands, and what people state."""
    run = job.run
    single = [run.subgroups, run.robustness, run.folder / STATED_FILE]
    files = [*single, *(run.external.glob(f"*/{EXTERNAL_FILE}") if run.external.is_dir() else ())]
    return [job.recipe.name, sorted((path.parent.name, path.name, hash_file(path)) for path in files if path.is_file())]


def _source(job: Job) -> Any:
    """What the index depends on: where the images are, and what is there now."""
    source = job.source
    if source.root is None:
        return [SYNTHETIC_VERSION, SYNTHETIC_IMAGES, job.recipe.seed]
    options = [dict(source.columns), source.rules.to_json(), source.skip_broken]
    stated = [] if source == ImageSource(source.root, source.layout) else options
    return [source.layout, str(source.root.resolve()), _listing(source.root), *stated]


def _listing(root: Path) -> str:
    """A hash over the names, sizes and times of all files below `root`: cheap, and it notices a change."""
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    return hash_value([[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files if path.exists()])


def _sections(*names: str) -> Callable[[Job], Any]:
    return lambda job: job.recipe.hash(*names)


def _nothing(job: Job) -> Any:
    return None


def _frame(job: Job) -> Any:
    return frame_spec(job.recipe.input).frame_hash


STAGES = (
    Stage("index", "index", (), _source, _index),
    Stage("audit", "audit", ("index",), _nothing, _audit),
    Stage("split", "split", ("index", "audit"), _sections("split"), _split),
    Stage("augment", "plan", ("index", "split"), _sections("seed", "input", "augmentation"), _augment),
    Stage("pack", "store/store.json", ("index",), _frame, _pack),
    Stage(
        "train",
        "best",
        ("index", "split", "augment", "pack"),
        _sections("seed", "input", "augmentation", "model", "training", "semi_supervised", "concepts"),
        _train,
    ),
    Stage("evaluate", "scores", ("split", "pack", "train"), _sections("evaluation"), _evaluate),
    Stage("assess", "decisions", ("split", "pack", "train", "evaluate"), _sections("evaluation"), _assess),
    Stage(
        "explain", "faithfulness", ("index", "split", "pack", "train"), _sections("seed", "evaluation", "explanation"), _explain
    ),
    Stage("export", "bundle/model.onnx", ("index", "split", "pack", "train", "evaluate"), _nothing, _export),
    Stage(
        "compress", "comparison", ("index", "split", "augment", "pack", "train", "export"), _sections("compression"), _compress
    ),
    Stage("predict", "example", ("index", "split", "compress"), _nothing, _predict),
    Stage(
        "report",
        "report",
        ("index", "audit", "split", "augment", "train", "evaluate", "assess", "explain", "compress", "predict"),
        _shown,
        _report,
    ),
    Stage(
        "documents",
        "documents/documents.json",
        ("index", "audit", "split", "augment", "pack", "train", "evaluate", "assess", "explain", "export", "compress"),
        _shown,
        _documents,
    ),
)
