"""A trained network becomes smaller and faster: variants are made, measured side by side, and join their bundles."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.bundle import benchmark
from lesionlens.bundle.engines import fast_int8, version_of
from lesionlens.compression import evaluation
from lesionlens.compression.bundle_update import Verdict, join
from lesionlens.compression.count import paper_count
from lesionlens.compression.quantize import dynamic_int8
from lesionlens.compression.runnable_variant import Form
from lesionlens.compression.source import Source
from lesionlens.compression.table import text
from lesionlens.compression.variant_predictions import library_of, predicted
from lesionlens.compression.variants import MAKERS, Made
from lesionlens.core.artifact import hash_file, hash_value, write_json, write_text
from lesionlens.core.errors import ModelError
from lesionlens.core.machine import processor
from lesionlens.evaluation.predictions import Predictions

TABLE_FILE, TEXT_FILE = "compression.json", "compression.txt"
MAPS_IMAGES = 200
TIMED_IMAGES = 64


def compress(source: Source) -> dict[str, Any]:
    """Make, measure and compare the variants of a recipe.

    What was made from the same inputs and settings before is not made again. Nothing is chosen on
    the test split: whether int8 becomes the default is decided on the validation split.

    Args:
        source: as `open_source` checked it.

    Returns:
        The content of compression.json, see docs/compression.md.

    Raises:
        ModelError: if the fp32 bundle cannot run here. A variant that cannot be made, or is further from
            torch than its tolerance, joins no bundle; its row says why and has `failed`.
        RecipeError: if there are no images to calibrate on.
        TrainingError: if training a smaller network fails.
        StorageError: if the disk is full; what was finished is kept.
    """
    names = ("fp32", *(name for name in source.recipe.variants if name != "fp32"))
    made = {name: _made(source, name) for name in names}
    answers = {form.name: predicted(source, form, "test") for each in made.values() for form in each.forms}
    reference = made["fp32"].forms[0]
    rows = [row for name in names for row in _rows(source, name, made, answers)]
    _agreeing_maps(source, made, reference, rows)
    verdicts = {name: join(source, name, made[name], rows) for name in names}
    _add_costs(source, [form for each in made.values() for form in each.forms], rows)
    content = _content(source, answers[reference.name], rows, verdicts)
    write_json(source.out / TABLE_FILE, content)
    write_text(source.out / TEXT_FILE, text(content) + "\n")
    return content


def _made(source: Source, name: str) -> Made:
    try:
        return MAKERS[name](source)
    except ModelError as error:
        if name == "fp32":
            raise
        source.reporter.note(f"{name} is left out: {error}")
        return Made((), None, reason=str(error), failed=True)


def _rows(source: Source, name: str, made: Mapping[str, Made], answers: Mapping[str, Predictions]) -> list[dict[str, Any]]:
    """The rows of one variant, without what they cost."""
    each, reference = made[name], made["fp32"].forms[0]
    if not each.forms or each.counts is None:
        return [{"variant": name, "runtime": "openvino", "available": False, "reason": each.reason, "failed": each.failed}]
    confidence = source.info.recipe.evaluation.confidence
    fp32_bytes = reference.size_bytes
    return [
        {
            "variant": name,
            "runtime": form.runtime,
            "available": True,
            "metrics": evaluation.metrics(answers[form.name], answers[reference.name], source.resamples, confidence),
            "agreement": evaluation.agreement(answers[form.name], answers[reference.name]),
            "maps": None,
            "comparison": each.comparison,
            "size_bytes": form.size_bytes,
            "times_smaller": fp32_bytes / form.size_bytes,
            **each.counts.to_json(),
            "batch_sizes": list(source.settings.batch_sizes),
            "times": None,
            "peak_memory_bytes": None,
            "baseline_memory_bytes": None,
        }
        for form in each.forms
    ]


def _agreeing_maps(source: Source, made: Mapping[str, Made], reference: Form, rows: list[dict[str, Any]]) -> None:
    """Put into the rows of fp32's own weights how alike their heat maps are."""
    if _has_maps(made["fp32"]):
        for name in ("bf16", "int8"):
            for form in made[name].forms if name in made else ():
                row_of(rows, form)["maps"] = _map_agreement(source, form, reference)


def _map_agreement(source: Source, form: Form, reference: Form) -> Any:
    files = {"file": hash_file(form.file), "reference": hash_file(reference.file), "form": f"{form.name} {form.precision}"}
    path = source.out / form.variant / f"maps.{form.runtime}.json"
    part = source.images("test")
    return source.remembered(
        path, {**files, **source.made_from()}, lambda: evaluation.map_agreement(form, reference, part, MAPS_IMAGES)
    )


def _has_maps(made: Made) -> bool:
    runs = next(iter(made.comparison["runtimes"].values()))
    return "maps" in runs["largest_difference"]


def row_of(rows: list[dict[str, Any]], form: Form) -> dict[str, Any]:
    """The row of a form."""
    return next(row for row in rows if (row["variant"], row["runtime"]) == (form.variant, form.runtime))


def _add_costs(source: Source, forms: list[Form], rows: list[dict[str, Any]]) -> None:
    """Put times, from one run of all forms in turn, and memory into the rows."""
    if source.settings.rounds == 0:
        return
    files = {
        form.name: [hash_file(form.file), form.precision, form.dynamic, version_of(library_of(form.runtime))] for form in forms
    }
    settings = [source.settings.rounds, list(source.settings.batch_sizes), source.settings.threads, processor()]
    path = source.out / "times.json"
    made_from = {"forms": hash_value(files), "settings": hash_value(settings)}
    found = source.remembered(path, made_from, lambda: _measured_costs(source, forms))
    for form in forms:
        row_of(rows, form).update(found[form.name])


def _measured_costs(source: Source, forms: list[Form]) -> dict[str, Any]:
    settings = source.settings
    part = source.images("validation")
    images = part.pixels(part.spread(TIMED_IMAGES))
    found: dict[str, Any] = {form.name: {"times": {}} for form in forms}
    total = benchmark.rounds_in_all(settings.batch_sizes, settings.rounds)
    with source.reporter.bar("Measuring time", total) as advance:
        for size in settings.batch_sizes:
            calls = {form.name: form.load(settings.threads, size) for form in forms}
            for name, times in benchmark.measure(calls, images, (size,), settings.rounds, advance).items():
                found[name]["times"] |= times
    for form in forms:
        memory = benchmark.peak_memory(form.loader, form.arguments(settings.threads, 1), source.size)
        found[form.name]["peak_memory_bytes"] = None if memory is None else memory.peak_bytes
        found[form.name]["baseline_memory_bytes"] = None if memory is None else memory.baseline_bytes
    return found


def _content(
    source: Source, reference: Predictions, rows: list[dict[str, Any]], verdicts: Mapping[str, Verdict | None]
) -> dict[str, Any]:
    info, split = source.info, source.dataset.split
    main = verdicts.get("int8")
    why = main.why if main is not None else "no int8 was made."
    default = {"variant": "int8" if main is not None and main.default else "fp32", "why": why}
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
        "default": default,
        "verdicts": {name: dataclasses.asdict(verdict) for name, verdict in verdicts.items() if verdict is not None},
        "notes": _notes(source, rows),
        "recipe": dataclasses.asdict(source.recipe),
        "machine": benchmark.machine(),
        "versions": benchmark.versions(),
        "made_from": source.made_from(),
    }


def _notes(source: Source, rows: list[dict[str, Any]]) -> list[str]:
    found = [
        "Rows of openvino and onnxruntime compute the heat maps of all diagnoses as well; those of pytorch do not.",
        "The 30 % zeros of pruned are multiplied like any number: neither its file nor its time can be smaller.",
    ]
    if source.dataset.split.leaks:
        found.append("LEAKING SPLIT: these metrics are too good; do not report them alone.")
    if fast_int8() is False and any("int8" in row["variant"] for row in rows):
        found.append("This processor has no int8 products (VNNI); int8 is right here but perhaps not faster than fp32.")
    return found if any(row["variant"] == "pruned" for row in rows) else [found[0], *found[2:]]
