"""Prevalences that a user states."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import LabelSet

WHOLE = 1e-6  # how far prevalences that name every diagnosis may be from 1


def read_prevalence(text: str) -> dict[str, float]:
    """Prevalences by diagnosis from `mel=0.05,nv=0.7`, or from a TOML file (`mel = 0.05`) or a CSV file (dx, prevalence).

    Raises:
        RecipeError: if a word is no `diagnosis=share`, or a diagnosis is named twice.
        DataError: if the file cannot be understood.

    >>> read_prevalence("mel=0.05, nv=0.7")
    {'mel': 0.05, 'nv': 0.7}
    """
    path = Path(text)
    if path.suffix.lower() in (".toml", ".csv"):
        return _numbers(_read_file(path), str(path))
    pairs = [word.partition("=") for word in text.split(",") if word.strip()]
    for name, equals, _ in pairs:
        if not equals or not name.strip():
            raise RecipeError(f"prevalence {text!r}; write it as mel=0.05,nv=0.7, or name a .toml or .csv file")
    return _numbers([(name.strip(), value.strip()) for name, _, value in pairs], "--prevalence")


def _read_file(path: Path) -> list[tuple[str, object]]:
    if not path.is_file():
        raise DataError(f"{path} does not exist; it must hold the prevalence of each diagnosis")
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".toml":
        try:
            return list(tomllib.loads(text).items())
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"{path} is no TOML ({error}); write lines such as: mel = 0.05") from error
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows or [cell.strip().lower() for cell in rows[0]] != ["dx", "prevalence"] or any(len(row) != 2 for row in rows):
        raise DataError(f"{path} must have the two columns dx,prevalence in every line")
    return [(name.strip(), value.strip()) for name, value in rows[1:]]


def _numbers(pairs: list[tuple[str, object]], where: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, value in pairs:
        try:
            share = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise RecipeError(f"{where}: prevalence of {name} is {value!r}; it must be a number from 0 to 1") from error
        if name in shares:
            raise RecipeError(f"{where} names {name} twice; name each diagnosis once")
        shares[name] = share
    return shares


def whole_prevalence(stated: Mapping[str, float], labels: LabelSet, prior: np.ndarray) -> np.ndarray:
    """Prevalence of every diagnosis, (K,), summing to 1.

    Args:
        stated: prevalence by code; diagnoses that it does not name share the rest in proportion to `prior`.
        labels: the K diagnoses.
        prior: shares of the diagnoses where none is stated, (K,).

    Raises:
        RecipeError: if a diagnosis is unknown, a share is outside [0, 1], or they cannot sum to 1.

    >>> from lesionlens.core.labels import PH2
    >>> whole_prevalence({"mel": 0.1}, PH2, np.array([0.2, 0.6, 0.2])).round(3).tolist()
    [0.225, 0.675, 0.1]
    """
    unknown = [code for code in stated if code not in labels]
    if unknown:
        raise RecipeError(f"prevalence of {', '.join(unknown)}; the diagnoses are {', '.join(labels.codes)}")
    for code, share in stated.items():
        if not 0 <= share <= 1:
            raise RecipeError(f"prevalence of {code} is {share:g}; it must be from 0 to 1")
    total, is_named = sum(stated.values()), np.array([code in stated for code in labels.codes])
    if total > 1 + WHOLE:
        raise RecipeError(f"the prevalences sum to {total:g}; they must sum to at most 1")
    if is_named.all() and abs(total - 1) > WHOLE:
        raise RecipeError(f"the prevalences of all {len(labels)} diagnoses sum to {total:g}; they must sum to 1")
    rest, others = max(0.0, 1 - total), prior * ~is_named
    if not is_named.all() and rest > WHOLE and others.sum() == 0:
        raise RecipeError(
            f"the prevalences sum to {total:g}, and the validation split has no other diagnoses that could share the rest; "
            "name them all"
        )
    whole = np.array([stated.get(code, 0.0) for code in labels.codes])
    return np.asarray(whole + rest * others / others.sum() if rest and others.sum() else whole / whole.sum())
