"""The style sheet of the report and of the model card's page."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from lesionlens.reporting.palette import class_colours, class_names
from lesionlens.reporting.run_folder import RunContents

TEMPLATES = files("lesionlens.reporting") / "templates"


def style_sheet(run: RunContents) -> Markup:
    """The page's style sheet with the colours of the diagnoses, light and dark."""
    names, colours = class_names(run.labels), class_colours(run.labels)
    light = "".join(f"--{names[code]}:{colours[code][0]};" for code in run.labels.codes)
    dark = "".join(f"--{names[code]}:{colours[code][1]};" for code in run.labels.codes)
    rules = "".join(f".{name}{{--k:var(--{name})}}" for name in names.values())
    sheet = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return Markup(sheet.replace("/* light colours */", light).replace("/* dark colours */", dark) + rules)
