"""The trained model that `pip install 'lesionlens[model]'` brings: a bundle as package data of its own distribution."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lesionlens.bundle.bundle import FACTS_FILE, is_bundle, read_bundle
from lesionlens.core.errors import BundleError

MODULE = "lesionlens_model"
FOLDER = "bundle"
REMEDY = "name a bundle of `lesionlens export`, or install the model with: pip install 'lesionlens[model]'"


def installed_bundle(named: str = "no bundle is named") -> Path:
    """Folder of the installed model's bundle.

    Args:
        named: why the installed model is needed, the beginning of the error.

    Raises:
        BundleError: if no model is installed, or its bundle is missing.
    """
    module = find_spec(MODULE)
    if module is None or not module.submodule_search_locations:
        raise BundleError(f"{named}, and no model is installed; {REMEDY}")
    path = Path(module.submodule_search_locations[0]) / FOLDER
    if not (path / FACTS_FILE).is_file():
        raise BundleError(f"the installed model has no bundle in {path}; install it again with: pip install 'lesionlens[model]'")
    return path


def introduction(path: Path) -> str:
    """A line that says which model answers when none was named, and under which licence its weights are.

    Raises:
        BundleError: if the bundle cannot be read.
    """
    bundle = read_bundle(path)
    licence = bundle.facts["licences"].get("weights", "not stated")
    return f"no bundle is named, so the installed model answers: {bundle.name} ({bundle.id[:12]}); its weights: {licence}"


def split_arguments(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Take the bundle off the front of a list of arguments: the first, if it is a folder with a bundle's files.

    Args:
        arguments: at least one path.

    Returns:
        The bundle or None, and the arguments after it.

    Example:
        >>> split_arguments(["lesion.jpg"])
        (None, ['lesion.jpg'])
    """
    first = Path(arguments[0])
    return (first, arguments[1:]) if is_bundle(first) else (None, arguments)
