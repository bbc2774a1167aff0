"""decisions.json as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Number = dict[str, Any]


def decisions_text(content: dict[str, Any]) -> str:
    """The content of decisions.json for people."""
    images, lesions = content["n_images"], content["n_lesions"]
    head = (
        f"{content['name']}: chosen on {images['validation']} validation images of {lesions['validation']} lesions, "
        f"reported on {images['test']} test images of {lesions['test']} lesions; "
        f"{100 * content['resampling']['confidence']:g} % intervals by lesion"
    )
    questions = [_question(name, each) for name, each in content["questions"].items()]
    parts = [head, *content["notes"], _calibration(content["recalibration"]), *questions, _guarantees(content["guarantees"])]
    parts += [_conformal(content["conformal"])]
    if content["clinic"] is not None:
        parts.append(_clinic(content["clinic"]))
    return "\n\n".join(parts)


def number(value: Number, digits: int = 3) -> str:
    """A number with its interval, its count, or the reason why there is none.

    >>> number({"value": 0.5, "low": 0.4, "high": 0.6})
    '0.500 (0.400 to 0.600)'
    >>> number({"value": 1.0, "low": None, "high": None, "reason": "3 lesions; an interval needs 20", "count": 3, "of": 3})
    '1.000 (3 of 3)'
    """
    if value.get("value") is None:
        return f"- ({value.get('reason', 'not defined')})"
    shown = f"{value['value']:.{digits}f}"
    if value.get("low") is not None:
        return f"{shown} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"
    return f"{shown} ({value['count']} of {value['of']})" if "count" in value else shown


def _calibration(recalibration: dict[str, Any]) -> str:
    rows = [("recalibration", "validation NLL", "against temperature", "test NLL", "test ECE", "p")]
    for name, candidate in {"none": {}, **recalibration["candidates"]}.items():
        nll, test = candidate.get("nll"), recalibration["test"].get(name)
        against = number(candidate["difference"]) if "difference" in candidate else "-"
        rows.append((name, _plain(nll), against, *(_on_test(test) if test else ("-",) * 3)))
    method, temperature = recalibration["method"], recalibration["temperature"]
    return f"{aligned(rows)}\nChosen: {method} (temperature {temperature:.3f}), because {recalibration['reason']}."


def _on_test(metrics: dict[str, Number]) -> tuple[str, ...]:
    return number(metrics["nll"]), number(metrics["ece"]), _plain(metrics["ece"]["p"])


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _question(name: str, content: dict[str, Any]) -> str:
    if "reason" in content:
        return f"{name}: {content['reason']}"
    if "reason" in content["auc"]:
        return f"{name}: {content['auc']['reason']}"
    title = f"{name} ({' + '.join(content['codes'])}): AUC {number(content['auc'])}"
    points = [(kind, row) for kind in ("specificity", "sensitivity") for row in content[f"at_{kind}"]]
    rows = [("chosen on validation", "threshold", "sensitivity", "specificity", "on the test curve itself")]
    lines = [title, aligned(rows + [_point(kind, row) for kind, row in points])]
    lines += [row["reason"] for _, row in points if "reason" in row]
    if "readers" in content:
        readers = content["readers"]
        rates = f"sensitivity {readers['sensitivity']:.3f} at specificity {readers['specificity']:.3f}"
        lines.append(f"{readers['n']} dermatologists: {rates}; the network's is {readers['verdict']}")
    lines.append(_curve(content["decision_curve"]))
    lines.append(_costs(content["costs"]))
    return "\n".join(lines)


def _point(kind: str, row: dict[str, Any]) -> tuple[str, ...]:
    (curve,) = row["curve"].values()
    test = row.get("test")
    cells = (f"{row['threshold']:.4f}", number(test["sensitivity"]), number(test["specificity"])) if test else ("-",) * 3
    return (f"{kind} {row['stated']:g}", *cells, number(curve))


def _curve(curve: dict[str, Any]) -> str:
    if "reason" in curve:
        return f"decision curve: {curve['reason']}"
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in curve["useful"])
    if not ranges:
        return "decision curve: nowhere better than referring all or none beyond its uncertainty"
    return f"decision curve: better than referring all or none at thresholds {ranges}"


def _costs(costs: dict[str, Any]) -> str:
    if "reason" in costs:
        return f"costs: {costs['reason']}"
    rows = [("rule", "cost per image", "referred", "missed", "needless")]
    for name, rule in costs["rules"].items():
        rows.append((name, number(rule["cost"]), *(f"{rule[share]:.3f}" for share in ("referred", "missed", "needless"))))
    stated = f"costs {costs['cost_missed']:g} (missed) and {costs['cost_referral']:g} (needless)"
    head = f"{stated}: refer from a probability of {costs['threshold']:.4f}"
    return f"{head}\n{aligned(rows)}\nthe Bayes rule saves {number(costs['saving'])} per image against the bundle's rule"


def _guarantees(content: dict[str, Any]) -> str:
    lines = [f'threshold of "not sure" for a sensitivity of {content["sensitivity"]:g}']
    for kind, rule in content["rules"].items():
        marked = " (stated)" if kind == content["stated"] else ""
        if rule["test"] is None:
            lines.append(f"{kind}{marked}: {rule['reason']}")
            continue
        test = rule["test"]
        lines.append(
            f"{kind}{marked}: {rule['threshold']:.4f}, {rule['promise']}; on test {number(test['sensitivity'])} of images and "
            f"{number(test['lesion_sensitivity'])} of lesions, {number(test['not_sure'])} not sure"
        )
    return "\n".join(lines)


def _conformal(rows: list[dict[str, Any]]) -> str:
    coverage = rows[0]["sets"]["coverage"]
    codes = list(dict.fromkeys(code for row in rows for code in row["test"]["per_class"]))
    lines = [("sets", "coverage", *codes, "mean size", "empty")]
    for row in rows:
        test = row["test"]
        per_class = (f"{test['per_class'][code]['coverage']['value']:.3f}" for code in codes)
        name = f"{row['sets']['score']}, {row['sets']['group']}"
        lines.append((name, number(test["coverage"]), *per_class, f"{test['size']:.2f}", f"{test['empty']['value']:.3f}"))
    return f"conformal sets for a coverage of {coverage:g} of new lesions\n{aligned(lines)}"


def _clinic(clinic: dict[str, Any]) -> str:
    correction = clinic["prior_correction"]
    rows = [("diagnosis", "validation", "clinic", "mean probability", "corrected")]
    for code, row in correction["diagnoses"].items():
        rows.append((code, *(f"{row[name]:.3f}" for name in ("prior", "prevalence", "before", "after"))))
    difference = number(correction["nll"]["difference"], 4)
    lines = [f"at the clinic's prevalence (the correction changes the NLL by {difference})", aligned(rows)]
    for name, question in clinic["questions"].items():
        lines += [f"{name}, {_curve(question['decision_curve'])}", _costs(question["costs"])]
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns: the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join((row[0].ljust(widths[0]), *cells)))
    return "\n".join(lines)
