"""Files of weights that are pickles: LesionLens never loads one as weights, it says how to convert it."""

from __future__ import annotations

import shlex
from pathlib import PurePath

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".pth.tar", ".pt.tar")


def is_pickle_name(name: str) -> bool:
    """Whether a file name is one that pickles of weights have.

    >>> is_pickle_name("convnext.PTH"), is_pickle_name("best.safetensors")
    (True, False)
    """
    return name.lower().endswith(PICKLE_SUFFIXES)


def pickle_remedy(name: str) -> str:
    """How to convert a pickle, as the end of a message.

    >>> pickle_remedy("best model.pth")
    "convert it with: lesionlens convert 'best model.pth' 'best model.safetensors'"
    """
    path = PurePath(name)
    stem = PurePath(path.name.removesuffix(".tar")).stem
    target = path.with_name(f"{stem}.safetensors")
    if target == path:
        target = path.with_name(f"{stem}.converted.safetensors")
    return f"convert it with: lesionlens convert {shlex.quote(name)} {shlex.quote(str(target))}"
