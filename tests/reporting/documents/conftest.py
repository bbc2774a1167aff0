"""Runs with and without a bundle, and the optional results in the shape in which the assessments write them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlens.core.artifact import write_json, write_text
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.core.run import Run
from lesionlens.reporting.documents.facts import RunFacts, gather
from lesionlens.reporting.documents.stated import NOTHING, Stated
from lesionlens.reporting.run_folder import read_run

CHECKPOINT = "c" * 64  # of the made-up predictions


def number(value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, **more}


def point(stated: float, sensitivity: float, specificity: float) -> dict[str, Any]:
    test = {"sensitivity": number(sensitivity, 0.5, 0.99), "specificity": number(specificity, 0.6, 0.9)}
    return {"stated": stated, "threshold": 0.25, "test": test, "curve": {"sensitivity": number(0.9)}}


def decisions() -> dict[str, Any]:
    coverage = {"coverage": number(0.9, 0.85, 0.94), "size": 1.5}
    classes = {"mel": {"coverage": number(0.8, 0.6, 0.9)}, "nv": {"coverage": number(0.95, 0.9, 0.98)}}
    rule = {
        "threshold": 0.07,
        "promise": "at least 95 % on average",
        "test": {"sensitivity": number(0.96, 0.9, 0.99), "not_sure": number(0.2, 0.15, 0.25)},
    }
    return {
        "made_from": {"checkpoint": CHECKPOINT},
        "recalibration": {"method": "temperature", "temperature": 1.3, "reason": "nothing else is better"},
        "questions": {
            "melanoma": {
                "codes": ["mel"],
                "at_specificity": [point(0.713, 0.9, 0.72), {"stated": 0.95, "reason": "too few lesions", "curve": {}}],
                "at_sensitivity": [point(0.95, 0.94, 0.6)],
                "auc": number(0.91, 0.88, 0.94),
                "readers": {
                    "n": 58,
                    "sensitivity": 0.866,
                    "specificity": 0.713,
                    "source": "Haenssle 2018",
                    "verdict": "higher than the readers' sensitivity",
                },
                "decision_curve": {"useful": [[0.02, 0.4]]},
            },
            "malignant": {
                "codes": ["mel"],
                "at_specificity": {"reason": "no benign image"},
                "at_sensitivity": {"reason": "no benign image"},
                "reason": "no benign image",
            },
        },
        "guarantees": {"stated": "expectation", "rules": {"expectation": rule}},
        "conformal": [{"sets": {"score": "aps", "group": "class", "coverage": 0.9}, "test": {**coverage, "per_class": classes}}],
    }


def group(name: str, accuracy: float, auc: float) -> dict[str, Any]:
    metrics = {"accuracy": number(accuracy, 0.5, 0.9), "auc_malignant": number(auc, 0.7, 0.95)}
    return {"group": name, "n_images": 100, "n_lesions": 80, "scored": True, "reason": "", "metrics": metrics}


def subgroups() -> dict[str, Any]:
    gap = {
        "better": "male",
        "worse": "female",
        "values": [0.9, 0.8],
        "difference": number(0.1, 0.02, 0.18),
        "p": 0.01,
        "p_holm": 0.02,
    }
    small = {
        "group": "genital",
        "n_images": 3,
        "n_lesions": 2,
        "scored": False,
        "reason": "2 lesions; a score needs 20",
        "metrics": {},
    }
    facts = {"definition": "as the source states it", "estimate": False, "reason": "", "n_unknown": 4}
    return {
        "made_from": {"checkpoint": CHECKPOINT},
        "split": "test",
        "n_images": 204,
        "primary": "auc_malignant",
        "metrics": {"accuracy": "Accuracy", "auc_malignant": "AUC, malignant against benign"},
        "attributes": [
            {
                "name": "sex",
                "title": "Sex",
                **facts,
                "groups": [group("male", 0.8, 0.9), group("female", 0.7, 0.8)],
                "gaps": {"auc_malignant": gap},
            },
            {"name": "site", "title": "Body site", **facts, "groups": [small], "gaps": {"auc_malignant": None}},
            {
                "name": "dataset",
                "title": "Source",
                **facts,
                "reason": "the index has no column dataset",
                "groups": [],
                "gaps": {},
            },
            {
                "name": "skin_tone",
                "title": "Skin tone (estimate)",
                **facts,
                "estimate": True,
                "groups": [group("light", 0.8, 0.9)],
                "gaps": {},
            },
        ],
    }


def robustness() -> dict[str, Any]:
    alike = {"n_units": 50, "metrics": {"all_alike": number(0.85, 0.75, 0.92), "kappa": number(0.8, 0.7, 0.9)}}
    strengths = [
        {"balanced_accuracy": number(value, value - 0.05, value + 0.05), "changed": number(0.3, 0.2, 0.4)}
        for value in (0.75, 0.5)
    ]
    return {
        "made_from": {"checkpoint": CHECKPOINT},
        "photographs": alike,
        "views": {"n_units": 0, "reason": "only one view was predicted"},
        "corruptions": {
            "n_images": 47,
            "clean": {"balanced_accuracy": number(0.8, 0.7, 0.9)},
            "rows": [{"title": "Gaussian blur", "strengths": strengths}, {"title": "JPEG", "strengths": strengths[:1]}],
            "mean": {"error": number(0.4, 0.3, 0.5), "error_above_clean": number(0.1, 0.05, 0.15)},
        },
    }


def figures(auc: float | None) -> dict[str, Any]:
    names = ("balanced_accuracy", "melanoma_auc", "melanoma_sensitivity", "melanoma_specificity", "malignant_auc")
    return {name: number(auc, None if auc is None else auc - 0.05, None if auc is None else auc + 0.05) for name in names}


def external(name: str = "clinic", auc: float | None = 0.7) -> dict[str, Any]:
    flow = {"index": 600, "leaked": 2, "unreadable": 1, "refused": 30, "not_sure": 40, "diagnosed": 527}
    return {
        "name": name,
        "made_from": {"checkpoint": CHECKPOINT},
        "flow": flow,
        "key_figures": {"image": {"n_images": 598, "n_lesions": 598, "figures": figures(auc)}, "lesion": None},
        "internal": {"split": "test", "n_images": 47, "figures": figures(0.9)},
        "shift": {"distance": {"share_beyond": 0.25}, "prior": {"observed_from_training": 0.31}},
    }


@pytest.fixture
def assessed_run(run_folder: Path) -> Path:
    """A copy, to change, of a run with every assessment and one other data set."""
    run = Run.at(run_folder)
    for name, content in (("decisions", decisions()), ("subgroups", subgroups()), ("robustness", robustness())):
        write_json(getattr(run, name), content)
    write_json(run.external / "clinic" / "external.json", external())
    return run_folder


@pytest.fixture(scope="session")
def bundled_run(small_run: Path, small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its checkpoint and its bundle; read it only."""
    from lesionlens.training.checkpoint import load_network

    folder = Path(shutil.copytree(small_run, tmp_path_factory.mktemp("bundled") / "run"))
    if not (folder / "bundle").exists():
        shutil.copytree(small_bundle, folder / "bundle")
    write_text(folder / "recipe.toml", recipe_to_toml(load_network(folder / "train" / "best.safetensors")[1].recipe))
    return folder


@pytest.fixture
def facts_of() -> Callable[..., RunFacts]:
    """Gathers the facts of a run folder."""

    def facts(folder: Path, stated: Stated = NOTHING) -> RunFacts:
        return gather(read_run(folder), stated)

    return facts


@pytest.fixture
def plain_facts(finished_run: Path, facts_of: Callable[..., RunFacts]) -> RunFacts:
    """Facts of a run without checkpoint, bundle and assessments."""
    return facts_of(finished_run)


@pytest.fixture
def bundled_facts(bundled_run: Path, facts_of: Callable[..., RunFacts]) -> RunFacts:
    """Facts of a run with a bundle, of drawn images."""
    return facts_of(bundled_run)


@pytest.fixture
def assessed_facts(assessed_run: Path, facts_of: Callable[..., RunFacts]) -> RunFacts:
    """Facts of a run with every assessment."""
    return facts_of(assessed_run)
