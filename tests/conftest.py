"""Fixtures that every test may use, and how the tests share a machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

# Before torch or NumPy is imported: the networks here are too small for a second thread, and several test processes
# with a thread for each core would wait for one another. Tests that are about threads set their own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What was measured or compiled on this machine before must not decide what a test sees, nor be left behind by one.
os.environ["LESIONLENS_CACHE"] = "off"

import pytest
from benchmarks.postgresql_cluster import Cluster, binaries
from filelock import FileLock
from hypothesis import settings
from tests.slow_values import RECORDS

from lesionlens.serving.database_url import Place, read_record

settings.register_profile("lesionlens", deadline=None)  # machines are noisy; a slow example is no failure
settings.load_profile("lesionlens")

ROOT = Path(__file__).parents[1]


class SlowTestsLeftOut:
    """Counts the slow tests that were deselected, by the workers of pytest-xdist too, and says so at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.count = 0

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.count += sum(item.get_closest_marker("slow") is not None for item in items)

    def pytest_sessionfinish(self) -> None:
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["slow_left_out"] = self.count

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.count = max(self.count, getattr(node, "workeroutput", {}).get("slow_left_out", 0))  # each collects all

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.count:
            terminalreporter.write_line(f"{self.count} slow tests deselected; .ci/run runs them too")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SlowTestsLeftOut(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on real images and with PostgreSQL take long, and so does the export of a second bundle: they are slow ones."""
    for item in items:
        if {"ham10000_root", "isic2017_root", "metadata_bundle", "postgresql"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


MadeOnce: TypeAlias = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """`made_once(name, make)` is a folder that one of the test processes makes with `make(folder)`, for all of them to read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name.replace('/', '-')}.done"
        with FileLock(done.with_suffix(".lock")):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
                make(folder)
                done.touch()
        return folder

    return folder_of


def shared_folder(name: str) -> Path:
    """A folder of real data, or a skip that says what is missing."""
    candidates = [Path(os.environ["LESIONLENS_DATA"])] if "LESIONLENS_DATA" in os.environ else []
    candidates.append(ROOT.parent / "shared" / "data")
    for candidate in candidates:
        if (candidate / name).is_dir():
            return candidate / name
    pytest.skip(f"no real images: {name} is neither in LESIONLENS_DATA nor in ../shared/data")


@pytest.fixture
def user_cache(tmp_path, monkeypatch):
    """A cache of its own for one test, which may not exist yet."""
    monkeypatch.setenv("LESIONLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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
def synthetic_root(made_once: MadeOnce) -> Path:
    """120 drawn images with their table; read it only."""
    from lesionlens.synthetic.dataset import write_synthetic

    return made_once("synthetic", lambda folder: write_synthetic(folder, n_images=120, seed=0, width=96, height=72))


@pytest.fixture(scope="session")
def small_run(synthetic_root: Path, made_once: MadeOnce) -> Path:
    """A run folder of an untrained network with Grad-CAM in closed form, evaluated; read it only."""
    return made_once("small_run", lambda folder: _make_small_run(synthetic_root, folder))


def _make_small_run(synthetic_root: Path, folder: Path) -> None:
    import torch

    from lesionlens.core.recipe_file import recipe_from
    from lesionlens.data.dataset import Dataset
    from lesionlens.data.image import InputSpec
    from lesionlens.data.index import write_index
    from lesionlens.data.sources.source import read_source
    from lesionlens.data.split import make_split, write_split
    from lesionlens.data.store import Store, pack
    from lesionlens.evaluation.evaluate import evaluate
    from lesionlens.models.build import build_network
    from lesionlens.training.checkpoint import CheckpointInfo, save_network

    recipe = recipe_from(
        {
            "name": "small",
            "seed": 7,
            "input": {"size": 64, "frame": 72},
            "split": {"validation": 0.2, "test": 0.3},
            "model": {"name": "test_convnext", "weights": "none"},
            "evaluation": {"resamples": 100},
        }
    )
    spec = InputSpec(size=64, frame=72, resize="squash", mean=(0.7, 0.5, 0.5), std=(0.2, 0.25, 0.3))
    folder.mkdir()
    index = read_source(synthetic_root)
    split = make_split(index, recipe.split)
    write_index(index, folder / "index.csv")
    write_split(split, folder / "split.json")
    pack(index, spec, folder / "store")
    network = build_network(recipe.model, len(index.labels), spec.size)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    info = CheckpointInfo(index.labels, spec, recipe, split.hash, "plan", index.hash, split.protocol, split.leaks)
    save_network(network, info, folder / "train" / "best.safetensors")
    evaluate(folder / "train" / "best.safetensors", Dataset(index, split, Store.open(folder / "store")), folder)


@pytest.fixture(scope="session")
def metadata_checkpoint(small_run: Path, made_once: MadeOnce) -> Path:
    """An untrained network on the data of `small_run` that is told age and sex, not the site; read it only."""
    return made_once("metadata", lambda folder: _make_metadata_checkpoint(small_run, folder)) / "train" / "best.safetensors"


def _make_metadata_checkpoint(small_run: Path, folder: Path) -> None:
    from dataclasses import replace

    import torch

    from lesionlens.models.build import build_network
    from lesionlens.training.checkpoint import load_info, save_network

    info = load_info(small_run / "train" / "best.safetensors")
    model = replace(info.recipe.model, metadata=("age", "sex"))
    info = replace(info, recipe=replace(info.recipe, name="with metadata", model=model))
    torch.manual_seed(1)
    network = build_network(model, len(info.labels), info.spec.size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    path = folder / "train" / "best.safetensors"
    path.parent.mkdir(parents=True)
    save_network(network, info, path)


@pytest.fixture(scope="session")
def metadata_bundle(small_run: Path, metadata_checkpoint: Path, made_once: MadeOnce) -> Path:
    """The bundle of `metadata_checkpoint`, without a gate; copy it before changing it."""
    from lesionlens.core.run import Run
    from lesionlens.data.dataset import Dataset
    from lesionlens.export.export import ExportSettings, export

    settings = ExportSettings(compared_images=4, selftest_images=2, gate_images=0)
    dataset = Dataset.of_run(Run.at(small_run))
    return made_once("metadata/bundle", lambda folder: export(metadata_checkpoint, dataset, folder, settings=settings))


@pytest.fixture(scope="session")
def small_bundle(small_run: Path, made_once: MadeOnce) -> Path:
    """The bundle of `small_run`; copy it before changing it."""
    from lesionlens.core.run import Run
    from lesionlens.data.dataset import Dataset
    from lesionlens.evaluation.predictions import read_predictions
    from lesionlens.export.export import ExportSettings, export

    dataset = Dataset.of_run(Run.at(small_run))
    predictions = read_predictions(small_run / "predictions.npz")
    settings = ExportSettings(compared_images=8, selftest_images=3)
    best = small_run / "train" / "best.safetensors"
    return made_once("small_run/bundle", lambda folder: export(best, dataset, folder, predictions, settings))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL cluster of these tests; `postgresql.database()` makes an empty database."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster(durable=False)
    yield cluster
    cluster.remove()


@pytest.fixture(params=RECORDS)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The place of a prediction log that is not there yet: once a file, once a database."""
    if request.param == "sqlite":
        return tmp_path / "record.sqlite"
    return read_record(request.getfixturevalue("postgresql").emptied_database())
