"""One shard: the rows of one process, from disks, stores and tars, with failures in their places."""

import tarfile

import pytest
from tests.cluster.conftest import add_member, tar_of

from lesionlens.bundle.prediction import Failure
from lesionlens.bundle.results import row_of
from lesionlens.cluster.files import Folder
from lesionlens.cluster.results import columns_of, part_counts, read_results, without_times
from lesionlens.cluster.score import score_shard, tar_images
from lesionlens.cluster.shards import Shard
from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.data.files import LeftOut


def rows(folder):
    return [without_times(row) for row in read_results(str(folder))]


def expected(predictor, paths):
    return [without_times(columns_of(row_of(result, predictor.bundle_variant))) for result in predictor.attempt(paths)]


def test_images_on_disk(predictor, photos, tmp_path):
    paths = sorted(photos.glob("*.jpg"))
    shard = Shard(0, tuple(map(str, paths)))
    scored = score_shard(predictor, shard, Folder(str(tmp_path / "out")))
    assert (scored.rows, scored.failed) == (5, 1)
    assert rows(tmp_path / "out") == expected(predictor, paths)
    assert "error" in rows(tmp_path / "out")[1]
    assert part_counts(Folder(str(tmp_path / "out")), shard.file, shard.hash) == (5, 1)


def test_images_of_s3_give_the_same_rows(predictor, photos, tmp_path, s3):
    names = [f"{number}.jpg" for number in range(5)]
    for name in names:
        s3.objects[f"in/{name}"] = (photos / name).read_bytes()
    shard = Shard(0, (*(f"s3://bucket/in/{name}" for name in names), "s3://bucket/in/none.jpg"))
    scored = score_shard(predictor, shard, Folder("s3://bucket/out"))
    assert (scored.rows, scored.failed) == (6, 2)
    found, local = rows("s3://bucket/out"), expected(predictor, [photos / name for name in names])
    for ours, theirs in zip(found, local, strict=False):
        assert ours.pop("source").removeprefix("s3://bucket/in/") == theirs.pop("source").removeprefix(f"{photos}/")
        assert ours.pop("error", "").partition(" ")[2] == theirs.pop("error", "").partition(" ")[2] or "error" not in theirs
        assert ours == theirs
    assert found[5]["error"] == "s3://bucket/in/none.jpg does not exist; check the name"


@pytest.mark.parametrize(("ending", "mode"), [(".tar", "w"), (".tar.gz", "w:gz")])
def test_a_tar_gives_the_rows_of_its_images(predictor, photos, tmp_path, ending, mode):
    path = tar_of(photos, tmp_path / f"x{ending}", mode)
    scored = score_shard(predictor, Shard(7, (str(path),)), Folder(str(tmp_path / "out")))
    assert (scored.rows, scored.failed) == (5, 1)
    assert scored.left_out == (f"left out 1 file, no images in a known format: {path}/notes.txt",)
    found = rows(tmp_path / "out")
    assert [row["source"] for row in found] == [f"{path}/{number}.jpg" for number in range(5)]
    local = expected(predictor, sorted(photos.glob("*.jpg")))
    assert [row.get("p_mel") for row in found] == [row.get("p_mel") for row in local]
    assert [row.get("explanation") for row in found] == [row.get("explanation") for row in local]


def test_a_tar_in_s3(predictor, photos, tmp_path, s3):
    s3.objects["x.tar"] = tar_of(photos, tmp_path / "x.tar").read_bytes()
    scored = score_shard(predictor, Shard(0, ("s3://bucket/x.tar",)), Folder("s3://bucket/out"))
    assert (scored.rows, scored.failed) == (5, 1)
    assert rows("s3://bucket/out")[4]["source"] == "s3://bucket/x.tar/4.jpg"


def test_a_name_twice_in_a_tar_is_a_failure_the_second_time(predictor, photos, tmp_path):
    path = tar_of(photos, tmp_path / "x.tar")
    add_member(path, "0.jpg", (photos / "2.jpg").read_bytes())
    scored = score_shard(predictor, Shard(0, (str(path),)), Folder(str(tmp_path / "out")))
    assert (scored.rows, scored.failed) == (6, 2)
    assert "occurs twice" in rows(tmp_path / "out")[5]["error"]


@pytest.mark.parametrize("content", [b"", b"no tar", None])
def test_a_tar_that_is_cut_short_is_an_error_and_leaves_no_file(predictor, photos, tmp_path, content):
    path = tar_of(photos, tmp_path / "x.tar")
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(DataError, match=r"x\.tar is no complete tar"):
        score_shard(predictor, Shard(0, (str(path),)), Folder(str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_masks_and_links_in_a_tar_are_left_out(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("./a/1_mask.png"))
        link = tarfile.TarInfo("a/2.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    left_out = LeftOut()
    assert list(tar_images(str(path), left_out)) == []
    assert left_out.counts == {"mask": 1, "other": 1}


def test_a_part_of_other_images_is_refused(predictor, photos, tmp_path):
    shard, folder = Shard(0, (str(photos / "0.jpg"),)), Folder(str(tmp_path))
    score_shard(predictor, shard, folder)
    with pytest.raises(ArtifactError, match="holds the results of other images"):
        part_counts(folder, shard.file, Shard(0, ("other.jpg",)).hash)
    folder.write(shard.file, b"PAR1 cut short")
    with pytest.raises(ArtifactError, match="is damaged"):
        part_counts(folder, shard.file, shard.hash)


def test_failures_keep_their_places(predictor, photos):
    """Also those that are known before the network sees an image: first, in the middle and last."""
    from lesionlens.cluster.score import predict_named
    from lesionlens.core.errors import ImageError

    lost, good = ImageError("lost"), photos / "0.jpg"
    images = [("a", lost), ("b", good), ("c", lost), ("d", lost), ("e", photos / "1.jpg"), ("f", good), ("g", lost)]
    found = list(predict_named(predictor, iter(images)))
    assert [result.source for result in found] == list("abcdefg")
    assert [isinstance(result, Failure) for result in found] == [True, False, True, True, True, False, True]
