"""Compress a trained network: build its variants, compare them in one table and add them to their bundles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lesionlens.bundle import benchmark
from lesionlens.bundle.engines import fast_int8
from lesionlens.compression import evaluation
from lesionlens.compression.bundle_update import DefaultDecision, update_bundle
from lesionlens.compression.count import paper_count
from lesionlens.compression.quantize import dynamic_int8
from lesionlens.compression.runnable_variant import RunnableVariant
from lesionlens.compression.source import Source
from lesionlens.compression.table import text
from lesionlens.compression.variant_predictions import split_predictions
from lesionlens.compression.variants import BUILDERS, BuiltVariant
from lesionlens.core.artifact import hash_file, hash_value, write_json, write_text
from lesionlens.core.errors import ModelError
from lesionlens.core.machine import processor
from lesionlens.evaluation.predictions import Predictions

TABLE_FILE, TEXT_FILE = "compression.json", "compression.txt"
MAPS_IMAGES = 200
TIMED_IMAGES = 64

Row = dict[str, Any]


def compress(source: Source) -> dict[str, Any]:
    """Build, measure and compare the variants of a recipe.

    Variants that are current are not built again. Nothing is chosen on the test split: the
    validation split decides whether int8 becomes the default.

    Args:
        source: the inputs, as `open_source` checked them.

    Returns:
        The content of compression.json, see docs/compression.md.

    Raises:
        ModelError: if the fp32 bundle cannot run here. A variant that cannot be built, or differs from
            torch by more than its tolerance, is not added to a bundle; its row says why and has `failed`.
        RecipeError: if there are no images to calibrate on.
        TrainingError: if training a smaller network fails.
        StorageError: if the disk is full; finished variants are kept.
    """
    names = ("fp32", *(name for name in source.recipe.variants if name != "fp32"))
    variants = {name: _build(source, name) for name in names}
    runnables = [runnable for built in variants.values() for runnable in built.runnables]
    predictions = {runnable.name: split_predictions(source, runnable, "test") for runnable in runnables}
    reference = runnables[0]
    rows = [row for name, built in variants.items() for row in _rows(source, name, built, reference, predictions)]
    _add_map_agreement(source, variants, rows)
    decisions = {name: update_bundle(source, name, built, rows) for name, built in variants.items()}
    _add_costs(source, runnables, rows)
    content = _content(source, predictions[reference.name], rows, decisions)
    write_json(source.out / TABLE_FILE, content)
    write_text(source.out / TEXT_FILE, text(content) + "\n")
    return content


def _build(source: Source, name: str) -> BuiltVariant:
    try:
        return BUILDERS[name](source)
    except ModelError as error:
        if name == "fp32":
            raise
        source.reporter.note(f"{name} is left out: {error}")
        return BuiltVariant((), None, reason=str(error), failed=True)


def _rows(
    source: Source, name: str, built: BuiltVariant, reference: RunnableVariant, predictions: Mapping[str, Predictions]
) -> Iterator[Row]:
    """The rows of one variant, without costs."""
    if not built.runnables or built.counts is None:
        yield {"variant": name, "runtime": "openvino", "available": False, "reason": built.reason, "failed": built.failed}
        return
    confidence, expected = source.info.recipe.evaluation.confidence, predictions[reference.name]
    for runnable in built.runnables:
        ours = predictions[runnable.name]
        metrics = evaluation.metrics(ours, expected, source.resamples, confidence)
        judged = None if name == "fp32" else evaluation.verdict(runnable.name, metrics, source.recipe.default_drop)
        yield {
            "variant": name,
            "runtime": runnable.runtime,
            "available": True,
            "metrics": metrics,
            "non_inferiority": judged,
            "agreement": evaluation.agreement(ours, expected),
            "maps": None,
            "comparison": built.comparison,
            "size_bytes": runnable.size_bytes,
            "times_smaller": reference.size_bytes / runnable.size_bytes,
            **built.counts.to_json(),
            "batch_sizes": list(source.settings.batch_sizes),
            "times": None,
            "peak_memory_bytes": None,
            "baseline_memory_bytes": None,
        }


def _add_map_agreement(source: Source, variants: Mapping[str, BuiltVariant], rows: list[Row]) -> None:
    """Add the agreement of heat maps to the rows of bf16 and both kinds of int8, which share fp32's weights."""
    comparison = next(iter(variants["fp32"].comparison["runtimes"].values()))
    if "maps" not in comparison["largest_difference"]:
        return
    reference = variants["fp32"].runnables[0]
    for name in ("bf16", "int8", "int8-pointwise"):
        for runnable in variants[name].runnables if name in variants else ():
            _row_of(rows, runnable)["maps"] = _map_agreement(source, runnable, reference)


def _map_agreement(source: Source, runnable: RunnableVariant, reference: RunnableVariant) -> Any:
    made_from = {
        "file": hash_file(runnable.file),
        "reference": hash_file(reference.file),
        "form": f"{runnable.name} {runnable.precision}",
        **source.made_from(),
    }
    path = source.out / runnable.variant / f"maps.{runnable.runtime}.json"
    images = source.images("test")
    return source.cached_json(path, made_from, lambda: evaluation.map_agreement(runnable, reference, images, MAPS_IMAGES))


def _row_of(rows: list[Row], runnable: RunnableVariant) -> Row:
    return next(row for row in rows if (row["variant"], row["runtime"]) == (runnable.variant, runnable.runtime))


def _add_costs(source: Source, runnables: list[RunnableVariant], rows: list[Row]) -> None:
    """Add memory, and times from one run that alternates between all variants, to the rows."""
    if source.settings.rounds == 0:
        return
    files = {each.name: [hash_file(each.file), each.precision, each.dynamic, each.runtime_version] for each in runnables}
    settings = [source.settings.rounds, list(source.settings.batch_sizes), source.settings.threads, processor()]
    made_from = {"forms": hash_value(files), "settings": hash_value(settings)}
    costs = source.cached_json(source.out / "times.json", made_from, lambda: _measure_costs(source, runnables))
    for runnable in runnables:
        _row_of(rows, runnable).update(costs[runnable.name])


def _measure_costs(source: Source, runnables: list[RunnableVariant]) -> dict[str, Any]:
    settings, validation = source.settings, source.images("validation")
    images = validation.pixels(validation.spread(TIMED_IMAGES))
    costs: dict[str, Any] = {runnable.name: {"times": {}} for runnable in runnables}
    total = benchmark.rounds_in_all(settings.batch_sizes, settings.rounds)
    with source.reporter.bar("Measuring time", total) as advance:
        for size in settings.batch_sizes:
            calls = {runnable.name: runnable.load(settings.threads, size) for runnable in runnables}
            for name, times in benchmark.measure(calls, images, (size,), settings.rounds, advance).items():
                costs[name]["times"] |= times
    for runnable in runnables:
        memory = benchmark.peak_memory(runnable.loader, runnable.arguments(settings.threads, 1), source.size)
        costs[runnable.name]["peak_memory_bytes"] = None if memory is None else memory.peak_bytes
        costs[runnable.name]["baseline_memory_bytes"] = None if memory is None else memory.baseline_bytes
    return costs


def _content(
    source: Source, reference: Predictions, rows: list[Row], decisions: Mapping[str, DefaultDecision | None]
) -> dict[str, Any]:
    info, split, int8 = source.info, source.dataset.split, decisions.get("int8")
    default = "int8" if int8 is not None and int8.default else "fp32"
    return {
        "name": info.recipe.name,
        "network": info.recipe.model.name,
        "input_size": source.size,
        "split": "test",
        "n_images": len(reference),
        "n_lesions": len(np.unique(reference.lesion_ids)),
        "protocol": split.protocol,
        "leaks": split.leaks,
        "confidence": info.recipe.evaluation.confidence,
        "resamples": source.resamples,
        "batch_sizes": list(source.settings.batch_sizes),
        "threads": source.settings.threads,
        "rows": rows,
        "paper_count": paper_count(source.network, dynamic_int8(source.network)),
        "default": {"variant": default, "why": int8.why if int8 is not None else "no int8 was built."},
        "verdicts": {name: dataclasses.asdict(decision) for name, decision in decisions.items() if decision is not None},
        "notes": _notes(source, rows),
        "recipe": dataclasses.asdict(source.recipe),
        "machine": benchmark.machine(),
        "versions": benchmark.versions(),
        "made_from": source.made_from(),
    }


def _notes(source: Source, rows: list[Row]) -> list[str]:
    variants = {row["variant"] for row in rows}
    notes = ["Rows of openvino and onnxruntime include the computation of the heat maps of all diagnoses; pytorch rows do not."]
    if "pruned" in variants:
        notes.append(
            f"The {source.recipe.sparsity:.0%} zeros of pruned are multiplied like any number: "
            "neither its file nor its time can be smaller."
        )
    if source.dataset.split.leaks:
        notes.append("LEAKING SPLIT: these metrics are too good; do not report them alone.")
    if fast_int8() is False and any("int8" in name for name in variants):
        notes.append(
            "This processor lacks int8 products (VNNI): int8 may saturate, which these metrics include, and may not be faster."
        )
    return notes
