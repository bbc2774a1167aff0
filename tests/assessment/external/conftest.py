"""External images: synthetic ones of another seed, under the labels of another source, with everything that can be wrong."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlens.core.labels import AKIEC, BCC, DF, MEL, NV, SCC, VASC, LabelSet
from lesionlens.data.index import Index, Record, read_index, write_index
from lesionlens.data.sources.source import read_source
from lesionlens.synthetic.dataset import write_synthetic

SK = replace(NV, code="sk", name="Seborrheic keratosis")
OTHER_LABELS = LabelSet("other", (AKIEC, BCC, DF, MEL, NV, SCC, SK, VASC))


@pytest.fixture(scope="session")
def other_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic(tmp_path_factory.mktemp("other"), n_images=84, seed=5, width=96, height=72)


@pytest.fixture(scope="session")
def other_records(other_root: Path) -> tuple[Record, ...]:
    """Images of another centre: bkl is called sk, every other bcc is an scc; df and vasc do not occur."""
    index = read_source(other_root)
    named = [replace(record, image_id=f"X{record.image_id[4:]}", lesion_id=f"X{record.lesion_id}") for record in index.records]
    records = [replace(r, path=str(other_root / r.path), dx="sk" if r.dx == "bkl" else r.dx) for r in named]
    bccs = [r.lesion_id for r in records if r.dx == "bcc"]
    sccs = set(sorted(set(bccs))[::2])
    return tuple(replace(r, dx="scc") if r.lesion_id in sccs else r for r in records if r.dx not in ("df", "vasc"))


@pytest.fixture
def other_index(other_records: tuple[Record, ...], tmp_path: Path) -> Path:
    """The index of these images, with one unreadable file and two copies of training images of `small_run`."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing more")
    records = (*other_records, Record("Xbroken", str(broken), "mel", "Xbroken"))
    path = tmp_path / "clinic.csv"
    write_index(Index(records, OTHER_LABELS, tmp_path, "table"), path)
    return path


@pytest.fixture
def leaking_index(other_records: tuple[Record, ...], small_run: Path, tmp_path: Path) -> Path:
    """The same with copies of two training images, one of them saved again, under other names."""
    from PIL import Image

    from lesionlens.data.split import read_split

    own = read_index(small_run / "index.csv")
    split = read_split(small_run / "split.json", own)
    first, second = (own.by_id()[image_id] for image_id in split.ids["train"][:2])
    shutil.copy(own.image_path(first), tmp_path / "same.jpg")
    with Image.open(own.image_path(second)) as image:
        image.save(tmp_path / "again.jpg", quality=85)
    copies = (
        Record("Xsame", str(tmp_path / "same.jpg"), "nv", "Xsame"),
        Record("Xagain", str(tmp_path / "again.jpg"), "nv", "Xagain"),
    )
    path = tmp_path / "leaking.csv"
    write_index(Index((*other_records, *copies), OTHER_LABELS, tmp_path, "table"), path)
    return path
