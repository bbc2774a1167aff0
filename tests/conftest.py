"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("lesionlens", deadline=None)  # machines are noisy; a slow example is no failure
settings.load_profile("lesionlens")

ROOT = Path(__file__).parents[1]


def shared_folder(name: str) -> Path:
    """A folder of real data, or a skip that says what is missing."""
    candidates = [Path(os.environ["LESIONLENS_DATA"])] if "LESIONLENS_DATA" in os.environ else []
    candidates.append(ROOT.parent / "shared" / "data")
    for candidate in candidates:
        if (candidate / name).is_dir():
            return candidate / name
    pytest.skip(f"no real images: {name} is neither in LESIONLENS_DATA nor in ../shared/data")


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """The folder of reference tables and pretrained backbones beside the project."""
    if not (ROOT.parent / "shared").is_dir():
        pytest.skip("no reference tables or weights: there is no ../shared")
    return ROOT.parent / "shared"


@pytest.fixture(scope="session")
def ham10000_root() -> Path:
    return shared_folder("ham10000")


@pytest.fixture(scope="session")
def isic2017_root() -> Path:
    return shared_folder("isic2017")


@pytest.fixture(scope="session")
def synthetic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lesionlens.data.synthetic import write_synthetic

    return write_synthetic(tmp_path_factory.mktemp("synthetic"), n_images=120, seed=0, width=96, height=72)
