"""The plan of an archive: written before the work, followed after every stop, and refused if it is another one."""

from dataclasses import replace

import pytest

from lesionlens.cluster.files import Folder
from lesionlens.cluster.manifest import MANIFEST, SHARDS, Manifest, Request, check_request, finished_parts, read_manifest
from lesionlens.cluster.shards import Shard
from lesionlens.core.errors import ArtifactError

REQUEST = Request("b" * 64, "auto", "auto", ("photos", "s3://bucket/*.tar"), "", 2)
PLAN = Manifest(REQUEST, "light", (Shard(0, ("a.jpg", "\udcff.jpg")), Shard(1, ("x.tar",))), ("left out 1 file",))


def test_a_plan_is_read_as_it_was_written(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    assert read_manifest(folder) is None
    PLAN.write(folder)
    assert read_manifest(folder) == PLAN
    assert PLAN.text() == "2 images and 1 tars in 2 shards"
    assert (PLAN.images, PLAN.tars) == (2, 1)


def test_a_plan_in_an_object_store():
    folder = Folder("memory://plans/one")
    assert read_manifest(folder) is None
    PLAN.write(folder)
    assert read_manifest(folder) == PLAN


def test_without_its_manifest_a_plan_does_not_count(tmp_path):
    """Whoever was killed between the two files had not scored anything."""
    folder = Folder(str(tmp_path))
    PLAN.write(folder)
    (tmp_path / MANIFEST).unlink()
    assert read_manifest(folder) is None


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"holds holiday\.jpg and no plan"):
        read_manifest(Folder(str(tmp_path)))


@pytest.mark.parametrize("file", [MANIFEST, SHARDS])
def test_a_damaged_plan_is_refused(tmp_path, file):
    folder = Folder(str(tmp_path))
    PLAN.write(folder)
    text = (tmp_path / file).read_text(errors="surrogateescape")
    (tmp_path / file).write_text(text.replace("x.tar", "y.tar").replace('"format"', '"form"'), errors="surrogateescape")
    with pytest.raises(ArtifactError, match=r"does not fit _manifest|is damaged"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bundle": "c" * 64}, "for bundle b"),
        ({"arguments": ("other",)}, r"for images photos, s3://bucket/\*\.tar, not other"),
        ({"variant": "int8"}, "for variant auto, not int8"),
        ({"runtime": "openvino"}, "for runtime auto, not openvino"),
        ({"shard_size": 3}, "for --shard-size 2, not 3"),
        ({"listed": "d"}, "for list of images"),
    ],
)
def test_another_request_is_refused(tmp_path, change, message):
    with pytest.raises(ArtifactError, match=message) as caught:
        check_request(Folder(str(tmp_path)), REQUEST, replace(REQUEST, **change))
    assert "choose another --out" in str(caught.value)


def test_finished_shards_are_known_by_their_files(tmp_path):
    folder = Folder(str(tmp_path))
    assert finished_parts(folder, PLAN.shards) == set()
    folder.write(PLAN.shards[1].file, b"")
    assert finished_parts(folder, PLAN.shards) == {1}
    folder.write("part-000002.parquet", b"")
    with pytest.raises(ArtifactError, match=r"part-000002\.parquet belongs to no shard"):
        finished_parts(folder, PLAN.shards)
