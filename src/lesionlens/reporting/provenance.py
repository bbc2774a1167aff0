"""Where the numbers come from: versions, processor, recipe, hashes."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.core.artifact import hash_file
from lesionlens.core.machine import cores, processor
from lesionlens.reporting.run_folder import CHECKPOINT, Run

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


def trained_with(run: Run) -> dict[str, str]:
    """Versions that the checkpoint says it was trained with; empty without a checkpoint."""
    return {} if run.checkpoint is None else {str(name): str(value) for name, value in run.checkpoint["versions"].items()}


def recipe_sections(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """The resolved recipe: (section, (key, value) pairs), the top level first."""
    value = run.recipe.to_json()
    top = [(key, _written(item)) for key, item in value.items() if not isinstance(item, dict)]
    rest = [
        (name, [(key, _written(item)) for key, item in part.items()]) for name, part in value.items() if isinstance(part, dict)
    ]
    return [("run", top), *rest]


def hashes(run: Run) -> list[tuple[str, str]]:
    """SHA-256 of what the scores rest on: (name, hexadecimal)."""
    found = [("index", run.index.hash), ("split", run.split.hash)]
    for name, file in (
        ("augmentation plan", Path("plan.csv")),
        ("checkpoint", CHECKPOINT),
        ("predictions", Path("predictions.npz")),
    ):
        if (run.folder / file).is_file():
            found.append((name, hash_file(run.folder / file)))
    found.append(("recipe", run.recipe.hash()))
    return found


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _written(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {value:g}" for key, value in item.items()) or "none"
    return f"{item:g}" if isinstance(item, float) else str(item)
