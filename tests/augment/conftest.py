"""What the tests of augmentation share: one thread, smooth pictures, and Albumentations as the reference."""

import os
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def albumentations() -> SimpleNamespace:
    """Functions of Albumentations 2.0.8 and OpenCV, imported without a look for updates."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import albucore
        import albumentations
        import cv2
        from albumentations.augmentations.blur import functional as blur
        from albumentations.augmentations.dropout import functional as dropout
        from albumentations.augmentations.geometric import functional as geometric
        from albumentations.augmentations.pixel import functional as pixel
    assert albumentations.__version__ == "2.0.8"
    return SimpleNamespace(albucore=albucore, blur=blur, cv2=cv2, dropout=dropout, geometric=geometric, pixel=pixel)


def smooth_images(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blotches of random colour, uint8, shape (count, height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 3, 5, 6))
    fine = torch.nn.functional.interpolate(torch.from_numpy(coarse).float(), (height, width), mode="bicubic")
    return fine.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """Six images of 60 x 72 pixels, uint8, shape (6, 60, 72, 3)."""
    return smooth_images(6, 60, 72)
