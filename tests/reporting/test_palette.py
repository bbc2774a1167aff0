import itertools

import numpy as np
import pytest

from lesionlens.core.labels import HAM10000, ISIC2019, label_set_of
from lesionlens.reporting.palette import KNOWN, class_colours, class_names

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanope": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
def test_colours_differ_for_every_sight(sight, page):
    seen = [lab(np.array(SIGHTS[sight]) @ linear(colours[page])) for colours in KNOWN.values()]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 17


@pytest.mark.parametrize("labels", [HAM10000, ISIC2019], ids=lambda labels: labels.name)
def test_known_diagnoses_keep_their_colour(labels):
    assert class_colours(labels) == {code: KNOWN[code] for code in labels.codes}


def test_other_diagnoses_take_free_colours_of_their_kind():
    labels = label_set_of(["mel", "wart", "lymphoma", "cyst"], malignant=["lymphoma"])
    colours = class_colours(labels)
    assert colours["mel"] == KNOWN["mel"]
    assert colours["lymphoma"] == KNOWN["bcc"]
    assert {colours["cyst"], colours["wart"]} == {KNOWN["nv"], KNOWN["bkl"]}


def test_colours_do_not_run_out():
    labels = label_set_of([f"kind{n:02d}" for n in range(11)], benign_only=True)
    assert list(class_colours(labels)) == list(labels.codes)
    assert len(set(class_names(labels).values())) == 11
