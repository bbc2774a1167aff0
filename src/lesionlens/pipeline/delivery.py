"""The later stages of the road: from a checkpoint to a bundle that was explained, compressed and tried."""

from __future__ import annotations

from typing import Any

from lesionlens.augment.offline import read_plan
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.runtime import Predictor
from lesionlens.compression.compress import compress
from lesionlens.compression.source import CompressionSettings, Listener, open_source, trained_variants
from lesionlens.compression.table import text
from lesionlens.core.artifact import atomic_file, write_json
from lesionlens.data.index import Index, read_index
from lesionlens.data.split import Split, read_split
from lesionlens.data.store import Store
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.explanation.explain import ExplainSettings, faithfulness_table
from lesionlens.explanation.explain import explain as explain_checkpoint
from lesionlens.explanation.masks import has_masks
from lesionlens.export.export import ExportSettings, Material, images_to_look_at
from lesionlens.export.export import export as export_checkpoint
from lesionlens.pipeline.artifacts import BEST, BUNDLE, COMPRESS, EXAMPLE, EXPLAIN, INDEX, PLAN, PREDICTIONS, SPLIT, STORE
from lesionlens.pipeline.execution import Journey


def make_explanation(journey: Journey) -> str:
    """Draw the test split's heat maps, and measure whether they are true."""
    material = _material(journey)
    settings = explain_settings(journey, material.index, material.split)
    with journey.bar("explain", len(material.split.ids[settings.split])) as advance:
        report = explain_checkpoint(
            journey.path(BEST), material.index, material.split, material.store, journey.path(EXPLAIN), settings, advance
        )
    journey.note(faithfulness_table(report))
    return f"{report['n_images']} images by {report['method']}"


def explain_settings(journey: Journey, index: Index, split: Split) -> ExplainSettings:
    """What `explain` does on the road: agreement with masks only where the test split has any."""
    records = index.by_id()
    split_name = [records[image_id] for image_id in split.ids["test"]]
    return ExplainSettings(method="auto", masks=has_masks(index, split_name), seed=journey.recipe.seed)


def make_bundle(journey: Journey) -> str:
    """Write the bundle: graph, temperature, scores, card, self-test; compared with torch."""
    material = _material(journey)
    predictions = read_predictions(journey.path(PREDICTIONS))
    with journey.bar("export", images_to_look_at(material.split, ExportSettings())) as advance:
        bundle = export_checkpoint(journey.path(BEST), material, journey.path(BUNDLE), predictions, progress=advance)
    return f"{bundle.path}, id {bundle.id[:12]}"


def make_variants(journey: Journey) -> str:
    """Make smaller and faster variants, measure them side by side, and add them to the bundle."""
    material, recipe = _material(journey), journey.recipe.compression
    source = open_source(
        journey.path(BEST),
        material,
        journey.path(BUNDLE),
        journey.path(COMPRESS),
        recipe,
        CompressionSettings(),
        read_plan(journey.path(PLAN), material.split) if trained_variants(recipe) else None,
        Listener(journey.note, journey.bar),
    )
    content = compress(source)
    journey.note(text(content))
    return f"{', '.join(recipe.variants) or 'none'}; the bundle runs {content['default']['variant']} by default"


def make_example(journey: Journey) -> str:
    """Predict one image of the test split with the bundle, as a clinic would, and draw its heat map."""
    index = read_index(journey.path(INDEX))
    image_id = read_split(journey.path(SPLIT), index).ids["test"][0]
    record = index.by_id()[image_id]
    source = index.image_path(record)
    prediction = next(Predictor(journey.path(BUNDLE)).predict([source]))
    if prediction.maps is not None:
        with atomic_file(journey.path(EXAMPLE).with_name("overlay.png")) as temporary:
            heat_map(prediction, source).save(temporary, format="PNG")
    write_json(journey.path(EXAMPLE), {**prediction.to_json(), "image": image_id, "true": record.dx})
    answer = f"{image_id}: {prediction.outcome}. {prediction.explanation} (true: {record.dx})"
    return f"{answer}, {journey.path(EXAMPLE).with_name('overlay.png')}" if prediction.maps is not None else answer


def explanation_inputs(journey: Journey) -> Any:
    """What `explain` depends on besides the artifacts before it."""
    return journey.recipe.hash("seed", "evaluation")


def _material(journey: Journey) -> Material:
    index = read_index(journey.path(INDEX))
    return Material(index, read_split(journey.path(SPLIT), index), Store.open(journey.path(STORE)))
