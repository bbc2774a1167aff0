"""Weights beside a bundle's graph: one NumPy archive with an array for each field of a dataclass."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lesionlens.core.errors import BundleError

Weights = TypeVar("Weights")


def write_arrays(weights: Any, path: Path) -> None:
    """Write the fields of a dataclass into a bundle that is being made.

    Args:
        weights: a dataclass whose fields are float arrays.
        path: of the archive.
    """
    arrays: dict[str, Any] = {each.name: getattr(weights, each.name) for each in fields(weights)}
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_arrays(path: Path, kind: type[Weights]) -> Weights:
    """Read what `write_arrays` wrote; nothing in the file is ever executed.

    Args:
        path: of the archive.
        kind: the dataclass; it raises ValueError where shapes do not fit each other.

    Raises:
        BundleError: if the file is damaged, or holds other values than finite numbers.
    """
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
        if any(array.dtype.kind != "f" or not np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it holds other values than finite numbers")
        return kind(**arrays)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path} cannot be read ({error}); copy or export the bundle again") from error
