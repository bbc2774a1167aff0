"""Sections of the report before the scores: title, data, audit, augmentation, training."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lesionlens.augment.offline import count_by_class
from lesionlens.data.leaks import leak_sentences
from lesionlens.data.protocols import SPLITS
from lesionlens.reporting import plots
from lesionlens.reporting.formats import HEADLINE, OVERALL, PROTOCOLS, duration_text, metric_row, percent, plural
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.pictures import Picture, embed_file
from lesionlens.reporting.run_folder import RunContents


def title(run: RunContents) -> dict[str, Any]:
    """Name, a line about the scored images, and the warnings."""
    scores, recipe = run.scores, run.recipe
    rate = run.split.leak_rate.get(scores["split"])
    return {
        "name": recipe.name,
        "network": recipe.model.name,
        "size": recipe.input.size,
        "protocol": PROTOCOLS.get(scores["protocol"], scores["protocol"]),
        "split": scores["split"],
        "images": plural(scores["n_images"], "image"),
        "lesions": ("at most " if scores.get("n_unknown_lesion") else "") + plural(scores["n_lesions"], "lesion"),
        "views": scores["views"],
        "leaks": bool(scores["leaks"] or rate),
        "leak_rate": percent(rate),
        "rate_known": rate is not None and not scores.get("n_unknown_lesion"),
        "leak": _leak_text(run, scores["split"]),
        "synthetic": run.synthetic,
        "seed": scores["seed"],
    }


def _leak_text(run: RunContents, *splits: str) -> str:
    """How much leaks into the splits, by lesion and by patient; empty where no rate is known for them."""
    rate = run.split.leak_rate
    counts = {name: len(ids) if name in splits else 0 for name, ids in run.split.ids.items()}
    return "; ".join(leak_sentences(rate, counts))


def headline(run: RunContents) -> list[dict[str, Any]]:
    """The metrics at the top of the page, each with its interval."""
    scores = run.scores
    metrics = [(name, OVERALL[name].partition(" (")[0], scores["metrics"][name]) for name in HEADLINE]
    melanoma = scores["per_class"].get("mel")
    if melanoma:
        metrics.append(("recall", "Melanoma sensitivity", melanoma["recall"]))
    metrics.append(("ece", OVERALL["ece"], scores["metrics"]["ece"]))
    return [
        {**metric_row(name, label, metric), "bar": plots.interval_bar(metric) if name != "ece" else ""}
        for name, label, metric in metrics
    ]


def data(run: RunContents) -> dict[str, Any]:
    """Images, lesions and leaks per diagnosis and split."""
    dx_of = {record.image_id: record.dx for record in run.index.records}
    counts = {split_name: Counter(dx_of[image_id] for image_id in run.split.ids[split_name]) for split_name in SPLITS}
    css, rate, summary = class_names(run.labels), run.split.leak_rate, run.index.summary()
    largest = max(sum(counts[split_name][code] for split_name in SPLITS) for code in run.labels.codes)
    rows = []
    for diagnosis in run.labels.diagnoses:
        in_splits = [counts[split_name][diagnosis.code] for split_name in SPLITS]
        rows.append(
            {
                "diagnosis": diagnosis,
                "css": css[diagnosis.code],
                "counts": in_splits,
                "total": sum(in_splits),
                "bar": plots.stacked_bar([(css[diagnosis.code], sum(in_splits) / max(largest, 1))]),
                "leak": percent(rate.get("by_class", {}).get(diagnosis.code)),
            }
        )
    return {
        "rows": rows,
        "splits": SPLITS,
        "totals": [len(run.split.ids[split_name]) for split_name in SPLITS],
        "groups": [rate.get("groups_by_split", {}).get(split_name) for split_name in SPLITS],
        "left_out": rate.get("left_out", 0),
        "images": len(run.index),
        "lesions": len({record.lesion_id for record in run.index.records}) - summary["without_lesion_id"],
        "source": run.index.source,
        "notes": run.index.notes,
        "pairs": len(run.split.pairs),
        "leak_rate": percent(rate.get("test")),
        "leak": _leak_text(run, "test", "validation"),
        "unknown": summary["without_lesion_id"],
        "patients": summary["patients"],
        "split_notes": run.split.notes,
    }


def augmentation(run: RunContents) -> dict[str, Any]:
    """Originals and copies per diagnosis, and the gallery."""
    recipe = run.recipe.augmentation
    return {
        "recipe": recipe,
        "rows": _copies(run),
        "gallery": embed_file(run.paths.gallery),
        "mixup": percent(recipe.mixup_p, 0),
        "cutmix": percent(recipe.cutmix_p, 0),
        "fill": percent(recipe.offline_fill, 0),
    }


def _copies(run: RunContents) -> list[dict[str, Any]]:
    if run.plan is None:
        return []
    counts, css = count_by_class(run.plan, run.index), class_names(run.labels)
    largest = max(1, *(sum(row.values()) for row in counts.values()))
    rows = []
    for diagnosis in run.labels.diagnoses:
        originals, copies = counts[diagnosis.code]["originals"], counts[diagnosis.code]["copies"]
        name = css[diagnosis.code]
        bar = plots.stacked_bar([(name, originals / largest), (f"{name} faint", copies / largest)])
        rows.append({"diagnosis": diagnosis, "css": name, "originals": originals, "copies": copies, "bar": bar})
    return rows


def training(run: RunContents) -> dict[str, Any] | None:
    """Training curves and speed; None without a history."""
    if not run.history:
        return None
    history, monitor = run.history, run.recipe.training.monitor
    best = max((epoch.epoch for epoch in history if epoch.best), default=None)
    epochs, curves = [epoch.epoch for epoch in history], plots.history_curves(history)
    scored = next((epoch for epoch in history if epoch.epoch == best), history[-1])
    value = scored.validation.get(monitor)
    monitored = f"{value:.3f}" if monitor == "loss" and value is not None else percent(value)
    speeds = sorted(epoch.images_per_second for epoch in history)
    return {
        "epochs": len(history),
        "planned": run.recipe.training.epochs,
        "best": best,
        "monitor": monitor.replace("_", " ").replace("f1", "F1"),
        "monitored": monitored,
        "speed": f"{speeds[len(speeds) // 2]:.0f}",
        "duration": duration_text(sum(epoch.seconds for epoch in history)),
        "waiting": percent(sum(epoch.waiting_share for epoch in history) / len(history)),
        "loss": plots.training_panel(epochs, curves["loss"], "loss", best),
        "accuracy": plots.training_panel(epochs, curves["accuracy"], "right, %", best, shares=True),
        "rate": plots.training_panel(epochs, curves["learning_rate"], "learning rate", None),
    }


def sheet(run: RunContents) -> Picture | None:
    """The audit's contact sheet of suspected pairs; None if there is none, or no pair."""
    if run.audit is not None and not run.audit.get("pairs"):
        return None
    return embed_file(run.paths.contact_sheet)
