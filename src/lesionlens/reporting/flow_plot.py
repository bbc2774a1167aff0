"""The STARD flow diagram of an external evaluation as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from lesionlens.reporting import svg
from lesionlens.reporting.formats import count, plural

WIDTH = 392
MAIN = (8, 206)  # left edge and width of the main column, SVG units
SIDE = (236, 148)
HALVES = ((8, 182), (202, 182))
LINE, PADDING, GAP = 17, 9, 16
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#55606c}text.row{fill:#1a2027;font-size:13px}"
    ".step{fill:#f5f7f9;stroke:#b9c2cb}.arrow{stroke:#55606c;stroke-width:1.25;fill:none}"
)


def flow_diagram(flow: dict[str, Any]) -> Markup:
    """The diagram for a page that brings the style.

    Args:
        flow: of external.json; see `assessment.external.flow.image_flow`.
    """
    parts, height = _parts(flow)
    opening = Markup('<svg class="figure" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, _spoken(flow))
    return opening + Markup("").join(parts) + Markup("</svg>")


def flow_file(flow: dict[str, Any]) -> str:
    """The diagram as the text of an SVG file of its own."""
    parts, height = _parts(flow)
    opening = Markup('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{2}" height="{3}" role="img">').format(
        WIDTH, height, 2 * WIDTH, 2 * height
    )
    head = Markup('<title>{}</title><style>{}</style><rect width="{}" height="{}" fill="#fff"/>').format(
        _spoken(flow), Markup(STYLE), WIDTH, height
    )
    return str(opening + head + Markup("").join(parts) + Markup("</svg>\n"))


def _parts(flow: dict[str, Any]) -> tuple[list[Markup], int]:
    assessed = flow["refused"] + flow["not_sure"] + flow["diagnosed"]
    outside = f"{count(flow['outside'])} of a class it lacks" if flow["outside"] else ""
    kept = f"{count(flow['leaked_kept'])} leaked, kept" if flow["leaked_kept"] else ""
    steps: list[tuple[list[str], list[list[str]]]] = [
        (["Images in the index", count(flow["index"])], [_excluded("Unreadable", flow, "unreadable"), _leaked(flow)]),
        (
            ["Assessed by the model", count(assessed), outside, kept],
            [_excluded("Refused by the gate", flow, "refused"), _excluded("Not sure", flow, "not_sure")],
        ),
        (["Diagnosed", count(flow["diagnosed"]), _right(flow)], []),
    ]
    parts: list[Markup] = []
    top = 6
    for words, exclusions in steps:
        parts += _box(*MAIN, top, words)
        middle, bottom = MAIN[0] + MAIN[1] // 2, top + _height(words)
        side = bottom + GAP // 2
        for excluded in exclusions:
            parts += _box(*SIDE, side, excluded)
            parts.append(_arrow(middle, side + _height(excluded) // 2, SIDE[0]))
            side += _height(excluded) + GAP // 2
        top = side + GAP // 2 if exclusions else bottom + 2 * GAP
        parts += [_line(middle, bottom, top)] if exclusions else [_branch(middle, bottom, top, *half) for half in HALVES]
    tallest = 0
    for (left, width), side_name in zip(HALVES, ("malignant", "benign"), strict=True):
        words = _called(side_name, flow["called"][side_name])
        parts += _box(left, width, top, words)
        tallest = max(tallest, _height(words))
    return parts, top + tallest + 6


def _excluded(title: str, flow: dict[str, Any], name: str) -> list[str]:
    malignant = flow["not_diagnosed"][name]["malignant"]
    return [title, count(flow[name]), f"{count(malignant)} malignant" if flow[name] else ""]


def _leaked(flow: dict[str, Any]) -> list[str]:
    return ["Leaked from training", count(flow["leaked"])]


def _right(flow: dict[str, Any]) -> str:
    return f"right {count(flow['right_diagnosis'])}, wrong {count(flow['wrong_diagnosis'])}"


def _called(side: str, row: dict[str, int]) -> list[str]:
    other, fault = ("benign", "missed") if side == "malignant" else ("malignant", "false alarms")
    return [f"Truly {side}: {count(row['n'])}", f"called {side}: {count(row[side])}", f"{fault}: {count(row[other])}"]


def _height(words: Sequence[str]) -> int:
    return 2 * PADDING + LINE * sum(bool(word) for word in words) - 5


def _box(left: int, width: int, top: int, words: Sequence[str]) -> list[Markup]:
    shape = Markup('<rect class="step" x="{}" y="{}" width="{}" height="{}" rx="3"/>').format(left, top, width, _height(words))
    lines_of_text = [word for word in words if word]
    styles = ["row"] + ["tick"] * (len(lines_of_text) - 1)
    lines = [
        svg.text(left + width / 2, top + PADDING + 9 + LINE * number, word, style)
        for number, (word, style) in enumerate(zip(lines_of_text, styles, strict=True))
    ]
    return [shape, *lines]


def _line(x: int, top: int, bottom: int) -> Markup:
    return Markup('<path class="arrow" d="M{0} {1}V{2}m-4 -5l4 5l4 -5"/>').format(x, top, bottom)


def _branch(x: int, top: int, bottom: int, left: int, width: int) -> Markup:
    shape = Markup('<path class="arrow" d="M{0} {1}V{2}H{3}V{4}m-4 -5l4 5l4 -5"/>')
    return shape.format(x, top, (top + bottom) // 2, left + width // 2, bottom)


def _arrow(left: int, y: int, right: int) -> Markup:
    return Markup('<path class="arrow" d="M{} {}H{}m-5 -4l5 4l-5 4"/>').format(left, y, right)


def _spoken(flow: dict[str, Any]) -> str:
    causes = f"{flow['unreadable']} unreadable, {flow['leaked']} leaked, {flow['refused']} refused, {flow['not_sure']} not sure"
    return f"Flow of {plural(flow['index'], 'image')}: {causes}, {flow['diagnosed']} diagnosed"
