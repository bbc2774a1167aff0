"""Provenance of the numbers: versions, processor, recipe, hashes."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from lesionlens import __version__
from lesionlens.core.artifact import hash_file
from lesionlens.core.machine import cores, processor
from lesionlens.reporting.run_folder import RunContents

PACKAGES = ("torch", "timm", "numpy", "pillow", "safetensors", "scikit-learn")


def environment() -> dict[str, str]:
    """Versions and processor of the machine that writes the report."""
    facts = {
        "lesionlens": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "System": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "Processor": f"{processor()}, {cores()} logical cores",
    }
    return {name: value for name, value in facts.items() if value}


def trained_with(run: RunContents) -> dict[str, str]:
    """Versions that the checkpoint was trained with; empty without a checkpoint."""
    return {} if run.checkpoint is None else {str(name): str(value) for name, value in run.checkpoint["versions"].items()}


def recipe_sections(run: RunContents) -> list[tuple[str, list[tuple[str, str]]]]:
    """The resolved recipe: (section, (key, value) pairs), the top level first."""
    value = run.recipe.to_json()
    top = [(key, _text(item)) for key, item in value.items() if not isinstance(item, dict)]
    sections = [
        (name, [(key, _text(item)) for key, item in section.items()])
        for name, section in value.items()
        if isinstance(section, dict)
    ]
    return [("run", top), *sections]


def hashes(run: RunContents) -> list[tuple[str, str]]:
    """SHA-256 of what the scores rest on: (name, hexadecimal)."""
    files = {"augmentation plan": run.paths.plan, "checkpoint": run.paths.best, "predictions": run.paths.predictions}
    of_files = [(name, hash_file(path)) for name, path in files.items() if path.is_file()]
    return [("index", run.index.hash), ("split", run.split.hash), *of_files, ("recipe", run.recipe.hash())]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _text(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {value:g}" for key, value in item.items()) or "none"
    return f"{item:g}" if isinstance(item, float) else str(item)
