"""Two questions to a gate: kinds of photographs that it was not taught, and dark skin."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.gate import CHECKS, Gate
from lesionlens.bundle.runtime import Predictor
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import centre_crop
from lesionlens.export.clinical_photos import KINDS, clinical_photo
from lesionlens.export.gate_fit import fit_photograph_score
from lesionlens.export.gate_images import stratified_ids
from lesionlens.export.skin_tone import shift_tone

TAUGHT, TESTED, KNOWN = 150, 100, 2000  # photographs of each kind; dermoscopic images
HELD_OUT_NUMBERS = 1_000_000  # seeds that no export uses
TONES_DEG = (55, 41, 28, 10, -10, -30, -50)


def held_out_kinds(dataset: Dataset, bundle: Bundle, predictor: Predictor) -> dict[str, Any]:
    """Share of each drawn kind that is told by a score which was taught all kinds, and one which was not taught this kind.

    Thresholds reject 1 % of the validation images; the tested photographs are drawn from validation images.
    """
    training, validation = (_images(dataset, split, bundle.spec.size) for split in ("train", "validation"))
    known, good = _features(predictor, training), _features(predictor, validation)
    taught = {kind: _features(predictor, _photographs(kind, training, TAUGHT)) for kind in KINDS}
    tested = {kind: _features(predictor, _photographs(kind, validation, TESTED, HELD_OUT_NUMBERS)) for kind in KINDS}
    found: dict[str, Any] = {}
    for kind, photographs in tested.items():
        shares = {}
        for name, kinds in (("taught", list(KINDS)), ("held_out", [each for each in KINDS if each != kind])):
            score = fit_photograph_score(known, np.concatenate([taught[each] for each in kinds]))
            shares[name] = float((score.score(photographs) > np.quantile(score.score(good), 0.99)).mean())
        found[kind] = shares
    return {"n_taught": TAUGHT, "n_tested": TESTED, "share_told": found}


def tones(dataset: Dataset, bundle: Bundle, predictor: Predictor) -> dict[str, Any]:
    """Share of validation images that the whole gate refuses, as they are and with their skin shifted to other tones."""
    images = _images(dataset, "validation", bundle.spec.size)
    gate = Gate.from_bundle(bundle)
    assert gate is not None
    found = {"as they are": _refused(gate, images, predictor)}
    for tone in TONES_DEG:
        found[str(tone)] = _refused(gate, np.stack([shift_tone(image, tone) for image in images]), predictor)
    return {"n_images": len(images), "by_ita_deg": found}


def _refused(gate: Gate, images: np.ndarray, predictor: Predictor) -> dict[str, float]:
    """Share refused, in all and by reason."""
    size = (2 * images.shape[1],) * 2
    results = [gate.check(size, image, row) for image, row in zip(images, _features(predictor, images), strict=True)]
    shares = {code: float(np.mean([code in result.reasons for result in results])) for code in CHECKS}
    return {"any": float(np.mean([not result.usable for result in results])), **{code: x for code, x in shares.items() if x}}


def _images(dataset: Dataset, split: str, size: int) -> np.ndarray:
    rows = np.sort(dataset.store.rows(stratified_ids(dataset.ids(split), dataset.index, KNOWN)))
    return np.ascontiguousarray(centre_crop(dataset.store.images[rows], size))


def _photographs(kind: str, images: np.ndarray, count: int, first: int = 0) -> np.ndarray:
    return np.stack([clinical_photo(kind, first + n, images[n * len(images) // count]) for n in range(count)])


def _features(predictor: Predictor, images: np.ndarray) -> np.ndarray:
    return np.concatenate([predictor.run(images[start : start + 8]).features for start in range(0, len(images), 8)])
