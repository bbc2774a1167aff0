"""`model.json`: everything that the page in the browser must know, generated from the bundle and from this package.

No constant of the image check, the decision, the sentences or the colours is written down a second time in JavaScript.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle, Variant
from lesionlens.bundle.card_html import read_card_html
from lesionlens.bundle.colours import colour_table
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import ARRAYS, Gate
from lesionlens.bundle.outcome import NONE_MALIGNANT, NOT_CHECKED, SENTENCES, caution
from lesionlens.bundle.outputs import FAINTEST, Outputs
from lesionlens.bundle.overlay import FADE
from lesionlens.bundle.selftest import ON_OPENING, SelfTest, read_selftest
from lesionlens.core.percent import DIGITS
from lesionlens.data.colour import NO_PROFILE, NOT_VISIBLE, ON_WHITE
from lesionlens.data.decoding_rules import MAX_SCANNED, MIN_SIDE
from lesionlens.serving.entries import SCHEMA
from lesionlens.serving.pictures import LONGEST_SIDE
from lesionlens.serving.settings import PIXELS, UPLOAD_BYTES

GATE_FILE, SELFTEST_FILE = "gate.bin", "selftest.bin"


def model_facts(bundle: Bundle, variant: Variant, graph: str, runtime: dict[str, Any]) -> dict[str, Any]:
    """The content of `model.json`.

    Args:
        bundle: an open bundle.
        variant: the one that the site runs.
        graph: name of its graph in the site.
        runtime: of the browser; see `build`.

    Returns:
        JSON-ready. `about` is what a server says at /v1/model; the rest is for predicting.
    """
    gate, decision = Gate.from_bundle(bundle), Decision.from_bundle(bundle)
    return {
        "about": about(bundle, variant, runtime),
        "runtime": runtime,
        "graph": {"file": graph, **bundle.files[graph]},
        "outputs": bundle.outputs,
        "selftest": selftest_facts(bundle, variant),
        "gate": None if gate is None else gate_facts(gate),
        "decision": None if decision is None else {**decision.to_json(), "name": decision.name},
        "sentences": {**SENTENCES, "none_malignant": NONE_MALIGNANT, "not_checked": NOT_CHECKED, "caution": caution(decision)},
        "notes": {"on_white": ON_WHITE, "no_profile": NO_PROFILE},
        "images": {"least_side": MIN_SIDE, "most_scanned": MAX_SCANNED, "same_colour": NOT_VISIBLE},
        "maps": map_facts(),
        "prediction": {"schema": SCHEMA, "digits": DIGITS},
    }


def about(bundle: Bundle, variant: Variant, runtime: dict[str, Any]) -> dict[str, Any]:
    """What a server would say of this bundle at /v1/model, for the page's view of the model."""
    facts = bundle.facts
    name = f"{runtime['package']} {runtime['version']}"
    return {
        "bundle": {"id": bundle.id, "name": bundle.name, "variant": variant.name, "runtime": name},
        "labels": facts["labels"]["diagnoses"],
        **{key: facts[key] for key in ("input", "scores", "intended_use")},
        "limits": {"upload_bytes": UPLOAD_BYTES, "pixels": PIXELS},
        "card_html": read_card_html(bundle),
        **{key: facts.get(key) for key in ("decision", "gate")},
        "access": {"tokens_required": False, "role": "", "name": ""},
    }


def gate_facts(gate: Gate) -> dict[str, Any]:
    """The checks with their thresholds and reasons, and the arrays of `GATE_FILE` by name: first value and count."""
    checks = [
        {"code": code, "measure": check.measure, "below": check.below, "text": check.text, "threshold": gate.thresholds[code]}
        for code, check in gate.checks.items()
    ]
    gaussian, photographs = gate.gaussian, gate.photographs
    arrays = {"directions": gaussian.directions.shape[1], "rest": gaussian.rest}
    return {"file": GATE_FILE, "checks": checks, **arrays, "offset": None if photographs is None else photographs.offset}


def gate_bytes(gate: Gate) -> bytes:
    """`GATE_FILE`: mean (C), directions (C, R), spreads (R), and normal (C) if any, little-endian float32 one after the other."""
    arrays = [getattr(gate.gaussian, name) for name in ARRAYS if name != "rest"]
    arrays += [] if gate.photographs is None else [gate.photographs.normal]
    return b"".join(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in arrays)


def selftest_facts(bundle: Bundle, variant: Variant) -> dict[str, Any]:
    """How the browser checks that it computes what it should."""
    images, expected = _checked(read_selftest(bundle), variant)
    return {
        "file": SELFTEST_FILE,
        "n_images": len(images),
        "outputs": [name for name, value in expected._asdict().items() if value is not None],
        "tolerance": variant.tolerance.to_json(),
        "faintest": FAINTEST,
    }


def selftest_bytes(bundle: Bundle, variant: Variant) -> bytes:
    """`SELFTEST_FILE`: the expected outputs in the order of `selftest_facts`, little-endian float32, then the images, uint8."""
    images, expected = _checked(read_selftest(bundle), variant)
    outputs = (np.ascontiguousarray(value, dtype="<f4").tobytes() for value in expected if value is not None)
    return b"".join((*outputs, images.tobytes()))


def map_facts() -> dict[str, Any]:
    """How heat maps are coloured and how large their pictures are."""
    return {
        "colours": colour_table().tobytes().hex(),
        "fade": FADE,
        "longest_side": LONGEST_SIDE,
    }


def _checked(selftest: SelfTest, variant: Variant) -> tuple[np.ndarray, Outputs]:
    """The images that every opening checks, uint8 (N, S, S, 3), and what the variant must say of them."""
    count = min(ON_OPENING, len(selftest.images))
    return np.ascontiguousarray(selftest.images[:count]), selftest.expected[variant.name].rows(0, count)
