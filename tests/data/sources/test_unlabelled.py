"""Images without diagnoses: folders, lists, and what is wrong with them."""

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.data.sources.unlabelled import read_unlabelled


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.jpg", "more/c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "brown").save(path)
    return tmp_path


def listed(folder, text):
    (folder / "list.csv").write_text(text)
    return read_unlabelled(folder / "list.csv")


def test_a_folder_is_searched_to_its_depth(folder):
    (folder / "notes.md").write_text("x")
    images = read_unlabelled(folder)
    assert images.ids == ("a", "b", "c")
    assert [record.has_lesion_id for record in images.records] == [False, False, False]
    assert images.image_path(images.records[2]) == folder / "more" / "c.png"
    assert images.notes == ("left out 1 file, no images in a known format: notes.md",)


def test_images_of_one_name_are_told_apart_by_their_folders(folder):
    Image.new("RGB", (8, 8)).save(folder / "more" / "a.png")
    assert read_unlabelled(folder).ids == ("a", "b", "c", "more_a") or read_unlabelled(folder).ids[-1] == "more_a"


def test_a_list_may_name_lesions_and_patients_and_its_diagnoses_are_not_read(folder):
    images = listed(folder, "image_id,lesion_id,patient_id,dx\nb,L1,P1,mel\nc,unknown,,nv\n")
    assert [(each.image_id, each.lesion_id, each.patient_id, each.dx) for each in images.records] == [
        ("b", "L1", "P1", ""),
        ("c", "c", "", ""),
    ]


def test_a_list_may_hold_absolute_paths(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("lists")
    Image.new("RGB", (8, 8)).save(other / "z.png")
    (other / "list.csv").write_text(f"path\n{folder / 'a.jpg'}\nz.png\n")
    images = read_unlabelled(other / "list.csv")
    assert images.image_path(images.records[0]) == folder / "a.jpg"
    assert images.ids == ("a", "z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na\n", "has none of the columns image_id"),
        ("image_id\na\nq\n", "1 of 2 unlabelled images are not below"),
        ("image_id\na\na.jpg\n", "'a' is listed 2 times; list each image once"),
        ("image_id\n", "no unlabelled images in"),
    ],
)
def test_a_wrong_list_is_one_line(folder, text, message):
    with pytest.raises(DataError, match=message) as error:
        listed(folder, text)
    assert "\n" not in str(error.value)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="do not exist; give a folder of images, or a CSV"):
        read_unlabelled(tmp_path / "photos")


def test_the_hash_follows_ids_and_lesions_not_the_place(folder, tmp_path):
    one = listed(folder, "image_id,lesion_id\nb,L1\n")
    assert one.hash != listed(folder, "image_id,lesion_id\nb,L2\n").hash
    assert one.hash == listed(folder, "image_id,lesion_id\nb,L1\n").hash
