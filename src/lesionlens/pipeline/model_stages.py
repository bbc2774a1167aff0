"""The stages of a network: augment, train, evaluate, explain."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from lesionlens.augment.gallery import save_gallery
from lesionlens.augment.offline import count_by_class, plan_training, read_plan, write_plan
from lesionlens.core.artifact import hash_file
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.run import FILES, Run
from lesionlens.data.concepts import Concepts, read_concepts
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import frame_spec
from lesionlens.data.index import read_index
from lesionlens.data.sources.unlabelled import read_unlabelled
from lesionlens.data.split import read_split
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split, splits_to_predict
from lesionlens.evaluation.evaluate import evaluate as evaluate_checkpoint
from lesionlens.evaluation.predictions import read_predictions, write_predictions
from lesionlens.evaluation.tables import scores_table
from lesionlens.evaluation.validate import validator
from lesionlens.explanation.explain import explain as explain_checkpoint
from lesionlens.explanation.explain import faithfulness_table
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.pipeline.job import StageResult
from lesionlens.training.checkpoint import load_info
from lesionlens.training.distributed import World
from lesionlens.training.history import best_epoch, read_history
from lesionlens.training.run import TrainingData, train_run
from lesionlens.training.unlabelled import Unlabelled, prepare_unlabelled


def augment(run: Run, recipe: Recipe, image: str = "", gallery: bool = True) -> StageResult:
    """Plan the offline copies of the training images, and draw every augmentation on one lesion.

    Args:
        run: its index and split are read, its plan and gallery written.
        recipe: seed and [augmentation].
        image: image id of the lesion in the gallery; a typical one if empty.
        gallery: whether to draw the gallery.
    """
    images = read_index(run.index)
    parted = read_split(run.split, images)
    plan = plan_training(images, parted, recipe)
    write_plan(plan, run.plan, parted, recipe)
    counts = count_by_class(plan, images)
    n_originals = len(plan.originals)
    line = f"{n_originals} originals and {len(plan) - n_originals} copies"
    content = {"plan": str(run.plan), "rows": len(plan), "originals": n_originals, "by_class": counts, "hash": plan.hash}
    width = max(len(code) for code in counts)
    lines = [f"{run.plan}: {len(plan)} rows, {line}"]
    lines += [f"  {code:{width}}  {row['originals']:6} originals + {row['copies']:6} copies" for code, row in counts.items()]
    if gallery:
        content |= {"gallery": str(run.gallery), "image_id": save_gallery(images, parted, recipe, run.gallery, image)}
        lines.append(f"{run.gallery}: every augmentation on {content['image_id']}")
    return StageResult(line, "\n".join(lines), content)


def train(run: Run, recipe: Recipe, world: World, restart: bool = False, reporter: Reporter = SILENT) -> StageResult:
    """Train a network, or resume where an earlier call stopped.

    Args:
        run: its index, split, plan and store are read; checkpoints and history are written.
        recipe: how.
        world: the processes of the training; see `training.distributed.join_world`.
        restart: train from scratch even if a checkpoint can be resumed.
        reporter: told of progress and of every epoch, on the process that writes.
    """
    data = _training_data(run)
    finished = 0 if restart or not run.last.exists() else len(read_history(run.history))
    if finished and world.writes:
        reporter.note(f"resuming after epoch {finished} of {run.last}")
    unlabelled = _unlabelled(run, recipe, data, world, reporter)
    concepts = _concepts(recipe, data, world, reporter)
    total = (recipe.training.epochs - finished) * len(data.plan)
    with reporter.bar("Training", total) if world.writes else nullcontext() as advance:
        validate, note = validator(data), reporter.note
        options: dict[str, Any] = {"restart": restart, "progress": advance, "note": note, "unlabelled": unlabelled}
        options["concepts"] = concepts
        epochs = train_run(data, recipe, run.training, validate, world=world, **options)
        for epoch in epochs:
            if world.writes:
                if run.training == run.folder / FILES["training"]:  # elsewhere, the folder around it is not ours
                    run.write_recipe(recipe)
                reporter.note(epoch.line(recipe.training.epochs))
    return _training_result(run, recipe)


def _unlabelled(run: Run, recipe: Recipe, data: Dataset, world: World, reporter: Reporter) -> Unlabelled | None:
    """The unlabelled images of a recipe, packed beside the store by the process that writes; the others wait for it."""
    if not recipe.semi_supervised.images:
        return None
    listed, made = read_unlabelled(Path(recipe.semi_supervised.images).expanduser()), None
    if world.writes:
        with reporter.bar("Packing unlabelled images", len(listed)) as advance:
            made = prepare_unlabelled(listed, frame_spec(recipe.input), run.unlabelled, data, advance)
        for text in (*listed.notes, *made.lines()):
            reporter.note(text)
    world.share("packed")
    return made or prepare_unlabelled(listed, frame_spec(recipe.input), run.unlabelled, data)


def _concepts(recipe: Recipe, data: Dataset, world: World, reporter: Reporter) -> Concepts | None:
    """The concepts of a recipe's table; what is missing in it is said once."""
    if not recipe.concepts.table:
        return None
    path = Path(recipe.concepts.table).expanduser()
    concepts = read_concepts(path, recipe.concepts.columns, data.index.ids, data.ids("train"))
    for text in concepts.notes if world.writes else ():
        reporter.note(text)
    return concepts


def _training_data(run: Run) -> TrainingData:
    dataset = Dataset.of_run(run)
    return TrainingData(dataset.index, dataset.split, dataset.store, plan=read_plan(run.plan, dataset.split))


def _training_result(run: Run, recipe: Recipe) -> StageResult:
    history = read_history(run.history)
    best = best_epoch(history, recipe.training.monitor)
    paths = {"best": str(run.best), "last": str(run.last), "history": str(run.history)}
    content = {"epochs": len(history), "best_epoch": best.to_json() if best else None, **paths}
    if best is None:
        return StageResult("no epoch was finished", f"{run.history}: no epoch was finished", content)
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in best.validation.items() if value is not None)
    text = f"trained {len(history)} epochs; best is epoch {best.epoch} (validation {metrics}): {run.best}"
    return StageResult(f"best epoch {best.epoch}", text, content)


def evaluate(run: Run, settings: PredictionSettings, checkpoint: Path | None = None, reporter: Reporter = SILENT) -> StageResult:
    """Predict one split and score it, with intervals by lesion; beside the test split, predict the validation split.

    Args:
        run: its data set is read, its predictions and scores are written.
        settings: split, views, resamples, precision, device.
        checkpoint: to evaluate; the run's best one if None.
        reporter: told of progress.
    """
    checkpoint = checkpoint or run.best
    dataset = Dataset.of_run(run)
    splits = splits_to_predict(dataset, settings)
    with reporter.bar(f"Predicting {' and '.join(splits)}", sum(len(dataset.split.ids[name]) for name in splits)) as advance:
        scores = evaluate_checkpoint(checkpoint, dataset, run.scores.parent, settings, advance)
    if not run.recipe.exists():
        run.write_recipe(load_info(checkpoint).recipe)
    line = f"{scores['n_images']} {scores['split']} images of {scores['n_lesions']} lesions"
    return StageResult(line, scores_table(scores), scores)


def predict_validation(run: Run, settings: PredictionSettings, reporter: Reporter = SILENT) -> None:
    """Predict the validation split with the run's best checkpoint, unless its predictions are there.

    Runs that were evaluated by LesionLens 0.1 have none.

    Args:
        run: its data set is read, its validation predictions are written.
        settings: views, precision, device, as the test split was predicted.
        reporter: told of progress.
    """
    path = run.validation_predictions
    if path.is_file() and read_predictions(path).origin.hashes.get("checkpoint") == hash_file(run.best):
        return
    dataset = Dataset.of_run(run)
    with reporter.bar("Predicting validation", len(dataset.split.ids["validation"])) as advance:
        predictions = predict_split(run.best, dataset, replace(settings, split="validation"), advance)
    write_predictions(predictions, path)


def explain(run: Run, settings: ExplainSettings, checkpoint: Path | None = None, reporter: Reporter = SILENT) -> StageResult:
    """Draw heat maps of one split, and measure how faithful they are.

    Args:
        run: its data set is read, its explanation is written.
        settings: what is explained, and how thoroughly.
        checkpoint: to explain; the run's best one if None.
        reporter: told of progress.
    """
    dataset = Dataset.of_run(run)
    report = explain_checkpoint(checkpoint or run.best, dataset, run.explanation, settings, reporter)
    return StageResult(f"{report['n_images']} images by {report['method']}", faithfulness_table(report), report)
