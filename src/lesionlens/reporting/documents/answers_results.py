"""Answers on evaluation and results: design, metrics, intervals, errors, subgroups, other data sets, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.reporting.documents.answers import Answer, Provider, guarded, lacking, words
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.numbers import metric_number, stated_share
from lesionlens.reporting.documents.results import FILES
from lesionlens.reporting.formats import OVERALL, PER_CLASS, percent, plural

MAIN = ("balanced_accuracy", "macro_auc", "accuracy", "ece", "brier")
SCORES = "scores.json"


def design(facts: RunFacts) -> Answer:
    """Prospective or retrospective."""
    return Answer("Retrospective: the images and their diagnoses existed before the network was trained.", "index.csv")


def goal(facts: RunFacts) -> Answer:
    """What the study does."""
    external = " and evaluation on other data sets" if facts.results.external else ""
    return Answer(f"Development of a diagnostic classifier with internal testing{external}.", "recipe.toml, scores.json")


def summary(facts: RunFacts) -> Answer:
    """Design, data, main results and limits in a few sentences."""
    scores = facts.run.scores
    limits = " ".join(limit.text for limit in facts.limits[:3])
    return Answer(
        f"Retrospective development and internal testing of {facts.run.recipe.model.name}; {scores['n_images']:,} images of "
        f"{scores['n_lesions']:,} lesions of the {scores['split']} split. {_metrics(scores, MAIN[:3])}. Limits: {limits}",
        "scores.json, split.json",
    )


def measures(facts: RunFacts) -> Answer:
    """Which metrics were computed."""
    names = [title.partition(" (")[0] for title in OVERALL.values()]
    plots = "ROC and precision-recall curves, a reliability diagram and a confusion matrix are in report.html"
    return Answer(f"Overall: {words(names)}. By diagnosis: {words(PER_CLASS.values())}. {plots}.", SCORES)


def uncertainty(facts: RunFacts) -> Answer:
    """How intervals were made."""
    scores = facts.run.scores
    methods = "; ".join(f"{name}: {text}" for name, text in scores.get("methods", {}).items())
    how = methods or f"percentiles of {scores['resamples']:,} bootstrap resamples of lesions"
    return Answer(f"{scores['confidence']:.0%} intervals by lesion, not by image. {how}.", SCORES)


def sample_size(facts: RunFacts) -> Answer:
    """How many images and lesions there are."""
    scores = facts.run.scores
    text = f"All {scores['n_images']:,} images of {scores['n_lesions']:,} lesions of the {scores['split']} split were scored."
    stated = facts.stated.text("sample_size")
    if stated:
        return Answer(f"{stated} {text}", f"{facts.stated.name}, {SCORES}")
    return Answer(
        text, SCORES, "a calculation of the sample size: no artifact records one; state it as `sample_size` in stated.toml"
    )


def internal(facts: RunFacts) -> Answer:
    """Scores on held-out images of the same source, beside those of the validation split."""
    run, metric = facts.run, facts.run.recipe.training.monitor
    best = [epoch for epoch in run.history if epoch.best]
    value = best[-1].validation.get(metric) if best else None
    beside = (
        "" if value is None else f" On the validation split {metric.replace('_', ' ')} was {value:.3f} in the selected epoch."
    )
    return Answer(
        f"{run.scores['split']} split: {_metrics(run.scores, MAIN)}.{beside}",
        "scores.json, train/history.jsonl" if beside else SCORES,
    )


def overall(facts: RunFacts) -> Answer:
    """Every main metric with its interval."""
    scores = facts.run.scores
    return Answer(f"{_metrics(scores, MAIN)} ({scores['confidence']:.0%} intervals; {scores['split']} split).", SCORES)


def by_diagnosis(facts: RunFacts) -> Answer:
    """Sensitivity and specificity of each diagnosis."""
    rows = facts.run.scores["per_class"]
    texts = [
        f"{code} {metric_number('recall', row['recall'])} and {metric_number('specificity', row['specificity'])}"
        for code, row in rows.items()
        if row["n"]
    ]
    return Answer(f"Sensitivity and specificity by diagnosis: {'; '.join(texts)}.", SCORES)


def confusion(facts: RunFacts) -> Answer:
    """The table of true and predicted diagnoses."""
    matrix, codes = facts.run.scores["confusion"], facts.run.labels.codes
    rows = [
        f"{code}: {', '.join(f'{other} {n}' for other, n in zip(codes, row, strict=True) if n)}"
        for code, row in zip(codes, matrix, strict=True)
        if sum(row)
    ]
    return Answer(f"True diagnosis: predicted. {'; '.join(rows)}.", SCORES)


def failures(facts: RunFacts) -> Answer:
    """Which errors are most frequent, and which are dangerous."""
    matrix, labels = facts.run.scores["confusion"], facts.run.labels
    errors = sorted(
        ((matrix[i][j], i, j) for i in range(len(labels)) for j in range(len(labels)) if i != j and matrix[i][j]),
        key=lambda e: (-e[0], e[1], e[2]),
    )
    if not errors:
        return Answer("No image was called wrongly.", SCORES)
    worst = "; ".join(f"{labels.codes[i]} called {labels.codes[j]} {plural(n, 'time')}" for n, i, j in errors[:3])
    missed = next((limit.text for limit in facts.limits if limit.name == "missed"), "")
    return Answer(
        f"Most frequent errors: {worst}. {missed} The most confident errors are pictured in report.html.".replace("  ", " "),
        SCORES,
    )


def indeterminate(facts: RunFacts) -> Answer:
    """How unusable images and doubtful predictions were handled."""
    dropped = facts.run.scores.get("n_dropped", 0)
    text = (
        f"{plural(dropped, 'image')} of the {facts.run.scores['split']} split could not be read and "
        f"{'is' if dropped == 1 else 'are'} not counted."
    )
    if not facts.exported:
        return Answer(text, SCORES, lacking(facts, "bundle", "unusable and doubtful images").missing)
    gate, decision = facts.card["gate"], facts.card["decision"]
    text += ' All others count with their most probable diagnosis, those that the gate refuses or that are "not sure" as well.'
    if gate is not None:
        text += (
            f" The gate refuses {gate['validation']['rejected_by_any']} of {gate['validation']['n_images']} images of "
            "the validation split."
        )
    if decision and decision["threshold"] is not None:
        text += f' Of those {percent(decision["validation"]["not_sure"]["value"])} are "not sure".'
    return Answer(text, "scores.json, bundle/bundle.json")


def limitations(facts: RunFacts) -> Answer:
    """The limits that rules find."""
    return Answer(" ".join(limit.text for limit in facts.limits), "documents.json")


def blinding(facts: RunFacts) -> Answer:
    """What the index test knew."""
    return Answer("The network sees pixels alone: no diagnosis and no clinical information of the scored images.", "recipe.toml")


@guarded("decisions")
def representative(facts: RunFacts) -> Answer:
    """Whether the tested diagnoses are as frequent as among the people it is meant for."""
    rows, total = facts.run.scores["per_class"], facts.run.scores["n_images"]
    tested = ", ".join(f"{code} {percent(row['n'] / total)}" for code, row in rows.items() if row["n"])
    stated = (facts.results.get("decisions") or {}).get("settings", {}).get("prevalence")
    if stated:
        clinic = ", ".join(f"{code} {stated_share(share)}" for code, share in stated.items())
        return Answer(f"Tested diagnoses: {tested}. Stated for the clinic: {clinic}.", f"{SCORES}, {FILES['decisions']}")
    missing = "the shares in the intended population: state them with: lesionlens assess RUN --prevalence mel=0.05"
    return Answer(f"Tested diagnoses: {tested}.", SCORES, missing)


def alternative_diagnoses(facts: RunFacts) -> Answer:
    """Diagnoses of the benign lesions."""
    benign = {d.code: facts.run.scores["per_class"][d.code]["n"] for d in facts.run.labels.diagnoses if not d.malignant}
    shown = ", ".join(f"{code} {n:,}" for code, n in benign.items() if n)
    return Answer(f"Benign images that were tested: {shown or 'none'}.", SCORES)


@guarded("compression")
def compared(facts: RunFacts) -> Answer:
    """Other models beside this one."""
    table = facts.run.compression
    if table is None:
        return lacking(facts, "compression", "variants of the network side by side")
    names = [row["variant"] for row in table["rows"] if row["available"]]
    return Answer(f"Variants of this network measured side by side: {words(dict.fromkeys(names))}.", "compress/compression.json")


def _metrics(scores: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "; ".join(f"{OVERALL[name].partition(' (macro')[0]} {metric_number(name, scores['metrics'][name])}" for name in names)


RESULTS: dict[str, Provider] = {
    "design": design,
    "goal": goal,
    "summary": summary,
    "measures": measures,
    "uncertainty": uncertainty,
    "sample_size": sample_size,
    "internal": internal,
    "overall": overall,
    "by_diagnosis": by_diagnosis,
    "confusion": confusion,
    "failures": failures,
    "indeterminate": indeterminate,
    "limitations": limitations,
    "blinding": blinding,
    "representative": representative,
    "alternative_diagnoses": alternative_diagnoses,
    "compared": compared,
}
