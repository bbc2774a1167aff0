"""Registration of two photographs of one lesion, and the lesion's outline, measured against HAM10000's masks.

    python benchmarks/registration.py [--data ../shared/data/ham10000] [--count 200] [--out benchmarks/results/registration.json]

Lesions with several photographs are parted by a hash of their id. The thresholds of `serving/registration.py` were chosen on
one half (`--half selection`); the other half is reported. For every lesion its first two photographs are registered, and the
first one with a photograph of another lesion of the same diagnosis, which must be declined. Where a pair is accepted, the
mask of the second photograph is carried over to the first: the distance of both masks' centres, in per cent of the picture's
width, and their Dice coefficient say how well it lies, beside what they are without registration.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import platform
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lesionlens import __version__
from lesionlens.core.artifact import write_json
from lesionlens.core.wilson import wilson
from lesionlens.serving.lesion_measures import measure_lesion
from lesionlens.serving.registration import Registration, register
from source_version import commit

SIZE = (600, 450)  # of the photographs; the copies in this layout are squashed
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
MASKS = "HAM10000_segmentations_lesion_tschandl"
HALVES = {"selection": 1, "report": 0}
QUANTILES = (50, 90, 95)


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/ham10000"))
    parser.add_argument("--count", type=int, default=200, help="lesions")
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/registration.json"))
    options = parser.parse_args()
    lesions = pairs(options.data, options.half, options.count, options.seed)
    same = [measured(options.data, first, second) for first, second, _ in lesions]
    different = [register(photograph(options.data, first), photograph(options.data, other)) for first, _, other in lesions]
    outlines = [outline(options.data, first) for first, _, _ in lesions]
    result = {
        "command": f"python benchmarks/registration.py --data HAM10000 --count {options.count} --half {options.half}",
        "half": options.half,
        "lesions": len(lesions),
        "same_lesion": summary(same),
        "different_lesions": {"accepted": share(sum(not each.reason for each in different), len(different))},
        "agreement": {
            "same": quantiles([each["agreement"] for each in same], (1, 5, 10, 25, 50)),
            "different": quantiles([each.agreement for each in different], (50, 90, 95, 99, 100)),
        },
        "outline": {
            "declined": share(sum(each is None for each in outlines), len(outlines)),
            "dice": quantiles([each for each in outlines if each is not None], (5, 25, 50)),
        },
        "versions": {"lesionlens": __version__, "commit": commit(), "numpy": np.__version__, "python": platform.python_version()},
    }
    write_json(options.out, result)
    print(options.out.read_text(encoding="utf-8"))


def pairs(data: Path, half: str, count: int, seed: int) -> list[tuple[str, str, str]]:
    """First and second photograph of a lesion, and one of another lesion of the same diagnosis."""
    by_lesion: dict[tuple[str, str], list[str]] = defaultdict(list)
    with (data / "HAM10000_metadata.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            by_lesion[row["dx"], row["lesion_id"]].append(row["image_id"])
    chosen = sorted(key for key, ids in by_lesion.items() if len(ids) > 1 and half_of(key[1]) == HALVES[half])
    order = np.random.default_rng(seed).permutation(len(chosen))[:count]
    by_dx: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for at in order:
        by_dx[chosen[at][0]].append(chosen[at])
    found = []
    for keys in by_dx.values():
        for at, key in enumerate(keys):
            other = keys[(at + 1) % len(keys)]
            if other != key:
                first, second = sorted(by_lesion[key])[:2]
                found.append((first, second, sorted(by_lesion[other])[0]))
    return found


def half_of(lesion_id: str) -> int:
    """0 or 1, the same for ever."""
    return hashlib.sha256(lesion_id.encode()).digest()[0] % 2


def photograph(data: Path, image_id: str) -> Image.Image:
    """A photograph in its own shape."""
    path = next(path for part in PARTS if (path := data / part / f"{image_id}.jpg").is_file())
    with Image.open(path) as image:
        return image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)


def mask(data: Path, image_id: str) -> np.ndarray:
    """Where the lesion is, bool (H, W)."""
    with Image.open(data / MASKS / f"{image_id}_segmentation.png") as image:
        return np.asarray(image.convert("L").resize((SIZE[0] // 3, SIZE[1] // 3))) > 127


def measured(data: Path, first: str, second: str) -> dict[str, Any]:
    """One pair of the same lesion: whether it was accepted, and how the masks lie with and without registration."""
    found = register(photograph(data, first), photograph(data, second))
    masks = mask(data, first), mask(data, second)
    result: dict[str, Any] = {"agreement": found.agreement, "reason": kind_of(found), "before": fit(*masks)}
    if found.matrix is not None:
        carried, inside = (moved(layer, found.matrix) for layer in (masks[1], np.ones_like(masks[1])))
        result["after"] = fit(masks[0] & inside, carried)
    return result


def kind_of(found: Registration) -> str:
    """The reason in two words; empty if it was accepted."""
    return (
        "" if not found.reason else "overlap" if "share only" in found.reason else "detail" if "agree" in found.reason else "flat"
    )


def moved(layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A mask of the second picture as it lies on the first."""
    height, width = layer.shape
    pixels = np.diag([width, height]) @ matrix @ np.diag([1 / width, 1 / height, 1])
    back = np.linalg.inv(np.vstack([pixels, [0, 0, 1]]))[:2].ravel()
    image = Image.fromarray(layer.astype(np.uint8) * 255)
    return np.asarray(image.transform((width, height), Image.Transform.AFFINE, tuple(back), Image.Resampling.NEAREST)) > 127


def fit(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Distance of the centres, per cent of the width, and Dice coefficient of two masks."""
    if not first.any() or not second.any():
        return {"centre_percent": float("nan"), "dice": 0.0}
    centres = [np.argwhere(each).mean(0) for each in (first, second)]
    distance = 100 * float(np.linalg.norm(centres[0] - centres[1])) / first.shape[1]
    return {"centre_percent": distance, "dice": 2 * float((first & second).sum()) / float(first.sum() + second.sum())}


def summary(same: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and quantiles of pairs of the same lesion."""
    accepted = [each for each in same if not each["reason"]]
    result: dict[str, Any] = {
        "declined": share(len(same) - len(accepted), len(same)),
        "reasons": dict(Counter(each["reason"] for each in same if each["reason"])),
    }
    for when in ("before", "after"):
        values = [each[when] for each in accepted]
        result[when] = {
            "centre_percent": quantiles([each["centre_percent"] for each in values], QUANTILES),
            "dice": quantiles([each["dice"] for each in values], (5, 10, 50)),
        }
    return result


def outline(data: Path, image_id: str) -> float | None:
    """Dice coefficient of the lesion as it is measured with its mask; None if it was declined."""
    found = measure_lesion(photograph(data, image_id))
    if found.reason:
        return None
    known = mask(data, image_id)
    drawn = np.asarray(Image.fromarray(found.mask).resize((known.shape[1], known.shape[0])))
    return fit(known, drawn)["dice"]


def share(hits: int, n: int) -> dict[str, float]:
    """A share with Wilson's interval of 95 %."""
    low, high = wilson(np.array(hits / n), np.array(float(n)))
    return {"hits": hits, "n": n, "value": hits / n, "low": float(low), "high": float(high)}


def quantiles(values: list[float], wanted: tuple[int, ...]) -> dict[str, float]:
    """Some percentiles."""
    known = np.array(values)[np.isfinite(values)]
    return {f"p{each}": round(float(np.percentile(known, each)), 4) for each in wanted}


if __name__ == "__main__":
    main()
