"""The store: what is packed is what `prepare` makes; half a store never stays."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import ArtifactError, DataError, ImageError, StorageError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec, open_image, prepare
from lesionlens.data.index import Index, Record
from lesionlens.data.store import Store, pack

SPEC = InputSpec(32, 40, "squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def make_images(root: Path, count: int = 12) -> Index:
    records = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"i{number}.png")
        records.append(Record(f"i{number}", f"i{number}.png", HAM10000.codes[number % 7], f"l{number}"))
    return Index(tuple(records), HAM10000, root, "test")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    folder = tmp_path / "images"
    folder.mkdir()
    return make_images(folder)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "images")


def assert_rows_are_as_recorded(store: Store) -> None:
    """The hash of every row that store.json lists is that of its pixels in the file."""
    recorded = json.loads((store.path / "store.json").read_text())["row_hashes"]
    assert recorded == [blake2b(row.tobytes(), digest_size=8).hexdigest() for row in store.images]


class TestPack:
    @pytest.mark.parametrize("workers", [1, 5])
    def test_rows_are_prepared_images_in_order(self, index: Index, tmp_path: Path, workers: int) -> None:
        steps: list[int] = []
        store = pack(index, SPEC, tmp_path / "store", workers=workers, progress=steps.append)
        assert store.ids == index.ids
        assert (store.images.shape, store.images.dtype) == ((12, 40, 40, 3), np.uint8)
        for row, record in enumerate(index.records):
            assert np.array_equal(store.images[row], prepare(open_image(index.image_path(record)), SPEC))
        assert sum(steps) == 12
        assert_rows_are_as_recorded(store)

    def test_windows_are_those_of_the_ids(self, index: Index, tmp_path: Path) -> None:
        spec = InputSpec(32, 40, "window", SPEC.mean, SPEC.std)
        store = pack(index, spec, tmp_path / "store")
        assert store.images.shape == (12, 32, 32, 3)
        assert store.frame_hash == spec.frame_hash
        for row, record in enumerate(index.records):
            image = open_image(index.image_path(record))
            assert np.array_equal(store.images[row], prepare(image, spec, record.image_id))
            assert not np.array_equal(store.images[row], prepare(image, spec, "another id"))

    def test_numpy_reads_the_file(self, index: Index, tmp_path: Path) -> None:
        store = pack(index, SPEC, tmp_path / "store")
        assert np.array_equal(np.load(tmp_path / "store" / "images.npy"), store.images)

    def test_ids_choose_and_order(self, index: Index, tmp_path: Path) -> None:
        chosen = ["i7", "i2", "i9"]
        store = pack(index, SPEC, tmp_path / "store", chosen)
        assert store.ids == tuple(chosen)
        assert np.array_equal(store.images[0], prepare(open_image(index.root / "i7.png"), SPEC))

    def test_the_hash_follows_pixels_ids_and_frame_alone(self, index: Index, tmp_path: Path) -> None:
        first = pack(index, SPEC, tmp_path / "a", workers=1)
        assert pack(index, SPEC, tmp_path / "b", workers=4).hash == first.hash
        assert pack(index, replace(SPEC, size=36, mean=(0.1, 0.1, 0.1)), tmp_path / "c").hash == first.hash
        assert pack(index, replace(SPEC, resize="short_side"), tmp_path / "d").hash != first.hash
        assert pack(index, SPEC, tmp_path / "e", list(reversed(index.ids))).hash != first.hash
        Image.new("RGB", (64, 48)).save(index.root / "i3.png")
        assert pack(index, SPEC, tmp_path / "f").hash != first.hash

    def test_what_decoding_assumed_stands_in_the_store(self, index: Index, tmp_path: Path) -> None:
        assert pack(index, SPEC, tmp_path / "plain").notes == {}
        for name in ("i3", "i7"):
            Image.new("RGBA", (64, 48), (1, 2, 3, 100)).save(index.root / f"{name}.png")
        pack(index, SPEC, tmp_path / "store", workers=3)
        assert Store.open(tmp_path / "store").notes == {"transparent pixels were laid on white": ["i3", "i7"]}

    def test_wrong_ids(self, index: Index, tmp_path: Path) -> None:
        for ids, words in [(["i1", "nobody"], "nobody"), (["i1", "i1"], "none twice"), ([], "at least one")]:
            with pytest.raises(DataError, match=words):
                pack(index, SPEC, tmp_path / "store", ids)
        assert left_over(tmp_path) == []

    def test_a_store_is_replaced_but_no_other_folder(self, index: Index, tmp_path: Path) -> None:
        store = tmp_path / "store"
        pack(index, SPEC, store)
        pack(index, SPEC, store, ["i1"])
        assert Store.open(store).ids == ("i1",)
        with pytest.raises(StorageError, match="not something that LesionLens made"):
            pack(index, SPEC, index.root)
        assert (index.root / "i0.png").exists()


class TestBrokenImages:
    @pytest.fixture
    def broken(self, index: Index) -> Index:
        (index.root / "i2.png").write_bytes(b"")
        (index.root / "i5.png").write_text("words")
        (index.root / "i11.png").unlink()
        return index

    def test_all_are_named_in_one_error_and_nothing_is_kept(self, broken: Index, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="3 of 12 images") as caught:
            pack(broken, SPEC, tmp_path / "store")
        assert all(name in str(caught.value) for name in ("i2.png", "i5.png", "i11.png"))
        assert left_over(tmp_path) == []

    def test_an_older_store_survives(self, index: Index, tmp_path: Path) -> None:
        old = pack(index, SPEC, tmp_path / "store")
        (index.root / "i2.png").write_bytes(b"")
        with pytest.raises(ImageError):
            pack(index, SPEC, tmp_path / "store")
        assert Store.open(tmp_path / "store").hash == old.hash

    def test_at_most_five_are_named(self, index: Index, tmp_path: Path) -> None:
        for number in range(8):
            (index.root / f"i{number}.png").write_bytes(b"")
        with pytest.raises(ImageError, match="8 of 12 .* and 3 more"):
            pack(index, SPEC, tmp_path / "store")

    def test_they_can_be_left_out_and_are_listed(self, broken: Index, tmp_path: Path) -> None:
        store = pack(broken, SPEC, tmp_path / "store", skip_broken=True)
        kept = [image_id for image_id in broken.ids if image_id not in ("i2", "i5", "i11")]
        assert store.ids == tuple(kept)
        assert list(store.dropped) == ["i2", "i5", "i11"]
        for row, image_id in enumerate(kept):
            assert np.array_equal(store.images[row], prepare(open_image(broken.root / f"{image_id}.png"), SPEC))
        assert_rows_are_as_recorded(store)
        with pytest.raises(ArtifactError, match="'i5'.*not an image"):
            store.rows(["i0", "i5"])

    def test_not_all_can_be_left_out(self, tmp_path: Path, index: Index) -> None:
        for record in index.records:
            (index.root / record.path).write_bytes(b"")
        with pytest.raises(ImageError, match="12 of 12"):
            pack(index, SPEC, tmp_path / "store", skip_broken=True)


class TestFullDisk:
    @pytest.mark.parametrize("call", ["pwrite", "posix_fallocate", "fsync"])
    def test_a_full_disk_leaves_nothing(self, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        def full(*arguments: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, call, full)
        with pytest.raises(StorageError, match="no space left"):
            pack(index, SPEC, tmp_path / "store")
        monkeypatch.undo()
        assert left_over(tmp_path) == []

    def test_a_disk_that_cannot_reserve_is_written_all_the_same(
        self, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unsupported(*arguments: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "posix_fallocate", unsupported)
        assert_rows_are_as_recorded(pack(index, SPEC, tmp_path / "store"))

    def test_a_real_limit_on_file_size(self, index: Index, tmp_path: Path) -> None:
        program = f"""
import resource
from pathlib import Path
from lesionlens.core.errors import StorageError
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.core.labels import HAM10000
from lesionlens.data.store import pack
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
records = tuple(Record(f"i{{n}}", f"i{{n}}.png", "nv", "l") for n in range(12))
try:
    pack(Index(records, HAM10000, Path({str(index.root)!r}), "test"),
         InputSpec(32, 40, "squash", (.5,) * 3, (.5,) * 3), Path({str(tmp_path / "store")!r}))
except StorageError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert "ulimit -f" in done.stdout
        assert left_over(tmp_path) == []


class TestOpen:
    @pytest.fixture
    def path(self, index: Index, tmp_path: Path) -> Path:
        return pack(index, SPEC, tmp_path / "store").path

    def test_rows(self, path: Path) -> None:
        store = Store.open(path)
        rows = store.rows(["i3", "i0", "i3"])
        assert (rows.tolist(), rows.dtype) == ([3, 0, 3], np.int64)
        with pytest.raises(ArtifactError, match="2 images are not in store .*'x'"):
            store.rows(["i1", "x", "y"])

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="does not exist"):
            Store.open(tmp_path / "none")

    @pytest.mark.parametrize("length", [0, 60, 128, 12 * 40 * 40 * 3])
    def test_cut_short(self, path: Path, length: int) -> None:
        os.truncate(path / "images.npy", length)
        with pytest.raises(ArtifactError, match="pack it again"):
            Store.open(path)

    def test_pixels_of_another_store(self, path: Path) -> None:
        np.save(path / "images.npy", np.zeros((12, 41, 41, 3), np.uint8))
        with pytest.raises(ArtifactError, match=r"\(12, 41, 41, 3\), not uint8 \(12, 40, 40, 3\)"):
            Store.open(path)

    @pytest.mark.parametrize(
        "change", [{"ids": [f"j{n}" for n in range(12)]}, {"frame_hash": "0"}, {"row_hashes": []}, {"frame": "a"}]
    )
    def test_facts_that_do_not_belong(self, path: Path, change: dict[str, object]) -> None:
        facts = json.loads((path / "store.json").read_text())
        (path / "store.json").write_text(json.dumps({**facts, **change}))
        with pytest.raises(ArtifactError, match="pack it again"):
            Store.open(path)

    def test_lost_facts(self, path: Path) -> None:
        (path / "store.json").write_text("{}")
        with pytest.raises(ArtifactError, match="pack it again"):
            Store.open(path)
