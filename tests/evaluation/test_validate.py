from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.evaluation.validate import validator

SPEC = InputSpec(size=32, frame=32, resize="squash", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class RedSaysNevus(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, images):
        red = images[:, 0].mean((1, 2))
        return self.one * torch.stack([1 - red, red], 1) @ torch.eye(7)[[HAM10000.index("mel"), HAM10000.index("nv")]]


def inputs(tmp_path, dropped=()):
    dxs = {"a": "nv", "b": "mel", "c": "nv", "d": "nv"}
    records = tuple(Record(name, f"{name}.jpg", dx, name) for name, dx in dxs.items())
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[[0, 2], ..., 0] = 255  # a and c are red, d is a nevus that is not
    store = SimpleNamespace(images=images, dropped=dropped, rows=lambda ids: np.array(["abcd".index(name) for name in ids]))
    split = SimpleNamespace(ids={"train": (), "validation": ("b", "c", "d"), "test": ("a",)})
    return SimpleNamespace(index=Index(records, HAM10000, tmp_path, "test"), split=split, store=store)


def test_scores_the_validation_part(tmp_path):
    metrics = validator(inputs(tmp_path))(RedSaysNevus(), SPEC)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["balanced_accuracy"] == pytest.approx(3 / 4)
    wrong, right = (np.log(np.e + 6) - own for own in (0, 1))  # one logit of 1 among seven
    assert metrics["loss"] == pytest.approx((2 * right + wrong) / 3, abs=1e-3)


def test_dropped_images_are_left_out(tmp_path):
    assert validator(inputs(tmp_path, dropped=("d",)))(RedSaysNevus(), SPEC)["accuracy"] == 1


def test_no_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="validation split holds no images"):
        validator(inputs(tmp_path, dropped=("b", "c", "d")))(RedSaysNevus(), SPEC)
