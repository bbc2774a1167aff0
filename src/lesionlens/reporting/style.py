"""What the report, the model card's page and the page of a grid share: templates and the style sheet."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lesionlens.reporting.palette import class_colours, class_names
from lesionlens.reporting.run_folder import RunContents

PACKAGE = "lesionlens.reporting"
TEMPLATES = files(PACKAGE) / "templates"


def page_environment(*packages: str) -> Environment:
    """Templates of this package, and of others that build on them.

    Args:
        packages: further packages with a folder `templates`, such as `lesionlens.experiments`.
    """
    loader = ChoiceLoader([PackageLoader(package) for package in (*packages, PACKAGE)])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def style_sheet(run: RunContents) -> Markup:
    """The page's style sheet with the colours of the diagnoses, light and dark."""
    names, colours = class_names(run.labels), class_colours(run.labels)
    light = "".join(f"--{names[code]}:{colours[code][0]};" for code in run.labels.codes)
    dark = "".join(f"--{names[code]}:{colours[code][1]};" for code in run.labels.codes)
    rules = "".join(f".{name}{{--k:var(--{name})}}" for name in names.values())
    sheet = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return Markup(sheet.replace("/* light colours */", light).replace("/* dark colours */", dark) + rules)
