"""The stages of the road, in order. Each is one function, one command and one artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lesionlens.augment.gallery import save_gallery
from lesionlens.augment.offline import plan_training, read_plan, write_plan
from lesionlens.core.artifact import hash_value, write_text
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.data.audit.audit import audit_index, write_audit
from lesionlens.data.audit.audit import read_pairs as read_audit_pairs
from lesionlens.data.audit.corrections import listed_pairs
from lesionlens.data.image import frame_spec
from lesionlens.data.index import read_index, write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, read_split, write_split
from lesionlens.data.store import Store
from lesionlens.data.store import pack as pack_images
from lesionlens.evaluation.evaluate import PredictionSettings
from lesionlens.evaluation.evaluate import evaluate as evaluate_checkpoint
from lesionlens.evaluation.tables import scores_table
from lesionlens.evaluation.validate import validator
from lesionlens.pipeline.artifacts import (
    AUDIT,
    BEST,
    BUNDLE,
    COMPRESS,
    EXAMPLE,
    EXPLAIN,
    GALLERY,
    IMAGES,
    INDEX,
    PLAN,
    RECIPE,
    REPORT,
    SCORES,
    SPLIT,
    STORE,
)
from lesionlens.pipeline.delivery import explanation_inputs, make_bundle, make_example, make_explanation, make_variants
from lesionlens.pipeline.execution import Journey, Stage
from lesionlens.reporting.report import write_report
from lesionlens.synthetic.dataset import VERSION as SYNTHETIC_VERSION
from lesionlens.synthetic.dataset import write_synthetic
from lesionlens.training.distributed import join_world
from lesionlens.training.run import Inputs, train_run

SYNTHETIC_IMAGES = 1200


def make_index(journey: Journey) -> str:
    """List the images; draw the embedded data set first if there are none."""
    root = journey.data
    if root is None:
        root = journey.path(IMAGES)
        with journey.bar("draw", SYNTHETIC_IMAGES) as advance:
            write_synthetic(root, n_images=SYNTHETIC_IMAGES, seed=journey.recipe.seed, progress=advance)
    index = read_source(root, journey.source)
    write_index(index, journey.path(INDEX))
    facts = index.summary()
    return f"{facts['images']} images of {facts['lesions']} lesions, {facts['masks']} masks ({index.source})"


def make_audit(journey: Journey) -> str:
    """Look for broken files, duplicates, missing fields and labels that disagree."""
    index = read_index(journey.path(INDEX))
    with journey.bar("audit", len(index)) as advance:
        audit = audit_index(index, known_pairs=listed_pairs(index), progress=advance)
    write_audit(audit, index, journey.path(AUDIT))
    return audit.summary()


def make_split_stage(journey: Journey) -> str:
    """Split the images; lesions that share a listed or a certain pair stay together."""
    index = read_index(journey.path(INDEX))
    pairs = (*listed_pairs(index), *read_audit_pairs(journey.path(AUDIT)))
    split = make_split(index, journey.recipe.split, pairs)
    write_split(split, journey.path(SPLIT))
    counts = ", ".join(f"{split_name} {len(ids)}" for split_name, ids in split.ids.items())
    leak = f"{split.leak_rate['test']:.1%} of the test images show a lesion that is also in training"
    return f"{split.protocol}: {counts}; {'LEAKS, ' if split.leaks else ''}{leak}"


def make_plan(journey: Journey) -> str:
    """Plan the offline copies, and draw the gallery."""
    index = read_index(journey.path(INDEX))
    split = read_split(journey.path(SPLIT), index)
    plan = plan_training(index, split, journey.recipe)
    write_plan(plan, journey.path(PLAN), split, journey.recipe)
    save_gallery(index, split, journey.recipe, journey.path(GALLERY))
    return f"{len(plan.originals)} originals and {len(plan) - len(plan.originals)} copies"


def make_store(journey: Journey) -> str:
    """Decode all images into one file."""
    index = read_index(journey.path(INDEX))
    with journey.bar("pack", len(index)) as advance:
        store = pack_images(index, frame_spec(journey.recipe.input), journey.path(STORE), progress=advance)
    return f"{len(store)} images of {store.images.shape[1]}x{store.images.shape[1]} pixels, {store.images.nbytes / 1e6:.0f} MB"


def make_checkpoint(journey: Journey) -> str:
    """Train, or go on where an earlier call was stopped."""
    index = read_index(journey.path(INDEX))
    split = read_split(journey.path(SPLIT), index)
    inputs = Inputs(index, split, read_plan(journey.path(PLAN)), Store.open(journey.path(STORE)))
    recipe, out = journey.recipe, journey.path("train")
    best = None
    with join_world() as world, journey.bar("train", recipe.training.epochs * len(inputs.plan)) as advance:
        epochs = train_run(inputs, recipe, out, validator(inputs), world=world, restart=journey.restart, progress=advance)
        for epoch in epochs:
            journey.note(f"  {epoch.line(recipe.training.epochs)}")
            best = epoch if epoch.best else best
    return f"best epoch {best.epoch}" if best else "already trained"


def make_scores(journey: Journey) -> str:
    """Predict the test split and score it, with intervals by lesion."""
    index = read_index(journey.path(INDEX))
    split = read_split(journey.path(SPLIT), index)
    wanted = journey.recipe.evaluation
    settings = PredictionSettings(views=wanted.views, resamples=wanted.resamples, confidence=wanted.confidence)
    store = Store.open(journey.path(STORE))
    with journey.bar("evaluate", len(split.ids["test"])) as advance:
        scores = evaluate_checkpoint(journey.path(BEST), index, split, store, journey.folder, settings, advance)
    write_text(journey.path(RECIPE), recipe_to_toml(journey.recipe))
    journey.note(scores_table(scores))
    return f"{scores['n_images']} test images of {scores['n_lesions']} lesions"


def make_report(journey: Journey) -> str:
    """Write the one-file report."""
    written = write_report(journey.folder, journey.path(REPORT))
    return f"{written.path} ({written.size_bytes / 1e6:.1f} MB)"


def _source(journey: Journey) -> Any:
    if journey.data is None:
        return [SYNTHETIC_VERSION, SYNTHETIC_IMAGES, journey.recipe.seed]
    return [journey.source, str(journey.data.resolve()), _listing(journey.data)]


def _listing(root: Path) -> str:
    """A hash over the names, sizes and times of all files below `root`: cheap, and it notices a change."""
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    return hash_value([[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files if path.exists()])


def _sections(*names: str) -> Any:
    return lambda journey: journey.recipe.hash(*names)


def _nothing(journey: Journey) -> Any:
    return None


def _frame(journey: Journey) -> Any:
    return frame_spec(journey.recipe.input).frame_hash


STAGES = (
    Stage("index", INDEX, (), _source, make_index),
    Stage("audit", AUDIT, ("index",), _nothing, make_audit),
    Stage("split", SPLIT, ("index", "audit"), _sections("split"), make_split_stage),
    Stage("augment", PLAN, ("index", "split"), _sections("seed", "input", "augmentation"), make_plan),
    Stage("pack", f"{STORE}/store.json", ("index",), _frame, make_store),
    Stage(
        "train",
        BEST,
        ("index", "split", "augment", "pack"),
        _sections("seed", "input", "augmentation", "model", "training"),
        make_checkpoint,
    ),
    Stage("evaluate", SCORES, ("split", "pack", "train"), _sections("evaluation"), make_scores),
    Stage("explain", f"{EXPLAIN}/faithfulness.json", ("index", "split", "pack", "train"), explanation_inputs, make_explanation),
    Stage("export", f"{BUNDLE}/model.onnx", ("index", "split", "pack", "train", "evaluate"), _nothing, make_bundle),
    Stage(
        "compress",
        f"{COMPRESS}/compression.json",
        ("index", "split", "augment", "pack", "train", "export"),
        _sections("compression"),
        make_variants,
    ),
    Stage("predict", EXAMPLE, ("index", "split", "compress"), _nothing, make_example),
    Stage(
        "report",
        REPORT,
        ("index", "audit", "split", "augment", "train", "evaluate", "explain", "compress", "predict"),
        _sections("name"),
        make_report,
    ),
)
