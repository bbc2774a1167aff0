"""A model with everything that was fixed before external images were seen: temperature, threshold and gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import Gate
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.reference import Reference, read_reference
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.labels import LabelSet
from lesionlens.data.image import InputSpec

BATCH = 8
NO_DECISION = "no threshold was fixed"


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """A model whose weights, temperature, threshold and gate are fixed.

    Attributes:
        name: of its recipe.
        kind: `bundle` or `checkpoint`.
        labels: its diagnoses.
        spec: how its images are prepared.
        run: gives calibrated probabilities and features of prepared images, uint8 (N, S, S, 3), N at most `batch_size`.
        gate: None if there is none.
        decision: when it is "not sure"; None if that is not known.
        reference: what it remembers of its training images; None if nothing.
        settings: where temperature, threshold and gate come from, and their values; JSON-ready.
        hashes: of checkpoint, index and split; `bundle` of a bundle.
        seed: of its recipe.
        views: averaged for one prediction.
        precision: number format of the forward pass.
        batch_size: images in one pass.
        resamples: bootstrap resamples of its recipe.
        confidence: level of the intervals of its recipe.
    """

    name: str
    kind: str
    labels: LabelSet
    spec: InputSpec
    run: Callable[[np.ndarray], Outputs]
    gate: Gate | None
    decision: Decision | None
    reference: Reference | None
    settings: dict[str, Any]
    hashes: dict[str, str]
    seed: int
    views: int = 1
    precision: str = "fp32"
    batch_size: int = BATCH
    resamples: int = 2000
    confidence: float = 0.95


def model_settings(temperature: float, decision: Decision | None, gate: Gate | None, source: str) -> dict[str, Any]:
    """What was fixed before the external images were seen, JSON-ready.

    Args:
        temperature: divisor of the logits.
        decision: None if no threshold was fixed.
        gate: None if there is none.
        source: where they come from, for people.
    """
    reason = NO_DECISION if decision is None else decision.reason
    return {
        "source": source,
        "temperature": temperature,
        "threshold": None if decision is None else decision.threshold,
        "threshold_reason": reason,
        "watched": [] if decision is None else list(decision.watched),
        "target_sensitivity": None if decision is None else decision.sensitivity,
        "gate": gate is not None,
    }


def bundle_model(path: Path, runtime: str = "auto", variant: str = "auto", batch_size: int = BATCH) -> FrozenModel:
    """A bundle as it predicts; loads no torch.

    Args:
        path: the bundle's folder.
        runtime: `openvino`, `onnxruntime` or `auto`.
        variant: its name, or `auto`.
        batch_size: images in one pass.

    Raises:
        BundleError: if it is damaged, cannot be run here, or fails its self-test.
    """
    predictor = Predictor(path, runtime=runtime, variant=variant, batch_size=batch_size)
    bundle = predictor.bundle
    recipe = bundle.facts["origin"]["recipe"]
    settings = model_settings(bundle.facts["temperature"]["value"], predictor.decision, predictor.gate, f"bundle {path}")
    settings |= {"variant": predictor.variant.name, "runtime": predictor.runtime, "notes": list(predictor.notes)}
    return FrozenModel(
        name=bundle.name,
        kind="bundle",
        labels=bundle.labels,
        spec=bundle.spec,
        run=predictor.run,
        gate=predictor.gate,
        decision=predictor.decision,
        reference=read_reference(bundle),
        settings=settings,
        hashes=bundle_hashes(bundle),
        seed=int(recipe["seed"]),
        batch_size=batch_size,
        resamples=int(recipe["evaluation"]["resamples"]),
        confidence=float(recipe["evaluation"]["confidence"]),
    )


def bundle_hashes(bundle: Bundle) -> dict[str, str]:
    """Hashes of what a bundle was made from, and its own."""
    hashes = {name: str(value) for name, value in bundle.facts["origin"]["hashes"].items()}
    return {**hashes, "checkpoint": bundle.checkpoint_hash, "bundle": bundle.id}
