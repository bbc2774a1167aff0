"""Tables: CSV as people save it, and images listed in a table of the user's own."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.index import Record
from lesionlens.data.sources.rules import Rules
from lesionlens.data.sources.table import Columns, load_table, read_table

PLAIN = "image_id,dx,age\na,mel,45\nb,nv,\n"


def add_images(root: Path, *paths: str) -> None:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 40)).save(root / path)


def write(root: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestLoadTable:
    @pytest.mark.parametrize(
        "text",
        [
            PLAIN,
            PLAIN.replace("\n", "\r\n"),
            PLAIN.replace("\n", "\r"),
            "\ufeff" + PLAIN,
            PLAIN.encode("utf-16"),
            PLAIN.replace(",", ";"),
            PLAIN.replace(",", "\t"),
            '"image_id","dx","age"\n"a","mel","45"\n"b","nv",""\n',
            PLAIN.replace("\n", "\n\n").replace("b,", " b , ").replace("nv,", "nv ,"),
            "\n \n" + PLAIN + ",,\n\n",
            PLAIN.replace("\n", ",,\n"),
            PLAIN.rstrip("\n"),
            "sep=;\r\n" + PLAIN.replace(",", ";"),
            "sep=\t\n" + PLAIN.replace(",", "\t"),
            PLAIN.replace("mel", "m\u200bel").replace("dx", "\u2060dx"),
            PLAIN.replace("age", "\ufeffage"),
        ],
        ids=[
            "plain",
            "windows line ends",
            "old mac line ends",
            "byte-order mark",
            "utf-16",
            "semicolons",
            "tabs",
            "quoted",
            "empty lines and blanks",
            "empty rows",
            "empty trailing columns",
            "no last line end",
            "a line sep=; of Excel",
            "a line sep= and tabs of Excel",
            "invisible characters",
            "a byte-order mark amid",
        ],
    )
    def test_all_forms_are_one_table(self, tmp_path: Path, text: str | bytes) -> None:
        table = load_table(write(tmp_path, text))
        assert table.columns == ("image_id", "dx", "age")
        assert [cells for _, cells in table.rows] == [("a", "mel", "45"), ("b", "nv", "")]

    def test_a_quoted_field_may_hold_the_delimiter_and_a_line_end(self, tmp_path: Path) -> None:
        table = load_table(write(tmp_path, 'image,site\na,"back, upper\nleft"\nb,x\n'))
        assert table.rows == ((3, ("a", "back, upper\nleft")), (4, ("b", "x")))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "is empty"),
            ("\n\n", "is empty"),
            (b"image,dx\nM\xfcller,mel\n", "is not UTF-8 .byte 10.*CSV UTF-8.*--encoding latin-1"),
            ("image,dx\na\n", "line 2 has 1 fields, the header has 2"),
            ("image,dx\na,mel,x\n", "line 2 has 3 fields"),
            ('image,dx\na,"mel\n', "is not CSV"),
            ("image,dx,Image\na,mel,b\n", "names a column twice"),
        ],
    )
    def test_what_is_no_table(self, tmp_path: Path, text: str | bytes, words: str) -> None:
        path = write(tmp_path, text)
        with pytest.raises(DataError, match=words) as caught:
            load_table(path)
        assert str(path) in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            load_table(tmp_path / "none.csv")

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=60))
    def test_any_bytes_give_a_table_or_a_data_error(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        path = tmp_path_factory.mktemp("table") / "list.csv"
        path.write_bytes(content)
        try:
            table = load_table(path)
        except DataError:
            return
        assert all(len(cells) == len(table.columns) for _, cells in table.rows)


class TestReadTable:
    def test_columns_named_by_the_user(self, tmp_path: Path) -> None:
        add_images(tmp_path, "p/one.png", "p/two.png", "masks/one_mask.png")
        path = write(
            tmp_path,
            "Foto,Befund,Herd,Alter,Geschlecht,Ort,Maske,Teil\n"
            "p/one.png,MEL,h1,45,f,Back,masks/one_mask.png,Test\n"
            "p/two.png, nv ,,unknown,Male,unknown,,\n",
        )
        index = read_table(path, Columns("Foto", "Befund", "Herd", "Alter", "Geschlecht", "Ort", "Maske", "Teil"))
        assert "1 image: sex f is read as female (one)" in index.notes
        assert index.records == (
            Record("one", "p/one.png", "mel", "h1", 45.0, "female", "back", "masks/one_mask.png", "test"),
            Record("two", "p/two.png", "nv", "two", None, "male", "", "", ""),
        )
        assert index.labels.codes == ("mel", "nv")
        assert index.labels.malignant == (True, False)

    def test_usual_names_need_not_be_given(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.jpg", "b.jpg")
        index = read_table(write(tmp_path, PLAIN), Columns())
        assert [(record.image_id, record.age) for record in index.records] == [("a", 45.0), ("b", None)]

    @pytest.mark.parametrize("value", ["A", "a.jpg", "a.JPEG", "sub/a.png", "./sub/a.png", "SUB\\A.png"])
    def test_an_image_is_found_by_id_name_or_path(self, tmp_path: Path, value: str) -> None:
        add_images(tmp_path, "sub/a.png", "b.jpg")
        index = read_table(write(tmp_path, f"image,dx\n{value},mel\nb,nv\n"), Columns())
        assert index.records[0].path == "sub/a.png"
        assert index.records[0].image_id.lower() == "a"

    def test_an_absolute_path(self, tmp_path: Path) -> None:
        add_images(tmp_path, "far/a.png", "near/b.png")
        absolute = tmp_path / "far" / "a.png"
        index = read_table(write(tmp_path / "near", f"image,dx\n{absolute},mel\nb,nv\n"), Columns())
        assert index.image_path(index.records[0]) == absolute

    def test_names_that_repeat_across_folders_become_paths(self, tmp_path: Path) -> None:
        add_images(tmp_path, "x/1.png", "y/1.png")
        index = read_table(write(tmp_path, "image,dx\nx/1.png,mel\ny/1.png,nv\n"), Columns())
        assert index.ids == ("x_1", "y_1")
        assert [record.path for record in index.records] == ["x/1.png", "y/1.png"]
        assert "folder and name" in index.notes[0]

    def test_a_path_is_not_replaced_by_a_namesake(self, tmp_path: Path) -> None:
        add_images(tmp_path, "x/1.png", "b.png")
        with pytest.raises(DataError, match=r"1 of 2 listed images .*y/1.png"):
            read_table(write(tmp_path, "image,dx\ny/1.png,mel\nb,nv\n"), Columns())

    @pytest.mark.parametrize(
        ("columns", "words"),
        [
            (Columns(image="foto"), "no column 'foto'; it has name, kind"),
            (Columns(image="name"), "none of the columns dx, diagnosis.*it has name, kind. Name one with --dx-column"),
            (Columns(image="name", dx="kind", age="years"), "no column 'years'"),
        ],
    )
    def test_a_column_that_is_not_there(self, tmp_path: Path, columns: Columns, words: str) -> None:
        add_images(tmp_path, "a.png")
        with pytest.raises(DataError, match=words):
            read_table(write(tmp_path, "name,kind\na,mel\n"), columns)

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ("a,,1\nb,nv,1", "line 2: image a has no diagnosis .'empty' 1.; fill it in.*--skip-unlabelled"),
            ("a,UNK,1\nb,unknown,1\nc,nv,1", "line 2: image a has no diagnosis, nor have 1 of the other 2 .'UNK' 1, 'unknown' 1"),
            (",mel,1\nb,nv,1", "line 2: no image id"),
            ("a,mel,1\nb,mel,1", "has 1 diagnosis; a classifier needs two"),
            ("a,mel,1\nb,nv,1\na,nv,1", "line 4: image a is listed twice, with dx 'mel' .*line 2. and 'nv'"),
            ("a,mel,1\nb,nv,1\na,mel,2", "listed twice, with age '1'"),
            ("", "list no image"),
        ],
    )
    def test_wrong_values(self, tmp_path: Path, rows: str, words: str) -> None:
        add_images(tmp_path, "a.png", "b.png", "c.png")
        with pytest.raises(DataError, match=words):
            read_table(write(tmp_path, f"image,dx,age\n{rows}\n"), Columns())

    @pytest.mark.parametrize("age", ["old", "-5", "inf", "121", "1,2,3", "1e99"])
    def test_a_wrong_age_is_a_note(self, tmp_path: Path, age: str) -> None:
        add_images(tmp_path, "a.png", "b.png")
        index = read_table(write(tmp_path, f"image;dx;age\na;mel;{age}\nb;nv;1\n"), Columns())
        assert [record.age for record in index.records] == [None, 1.0]
        assert index.notes == (f"1 image: age that is no number of years from 0 to 120 is left empty (a: {age!r})",)

    def test_ages_as_people_write_them(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png", "c.png")
        index = read_table(write(tmp_path, "image;dx;age\na;mel;65,0\nb;nv;85+\nc;nv;0\n"), Columns())
        assert [record.age for record in index.records] == [65.0, 85.0, 0.0]
        assert index.notes == (
            "1 image: age with a decimal comma (a: '65,0')",
            "1 image: open age such as 85+ is read as 85 (b: '85+')",
        )

    def test_latin_1_with_its_name(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        path = write(tmp_path, "image,dx,site\na,mel,R\xfccken\nb,nv,\n".encode("latin-1"))
        with pytest.raises(DataError, match="--encoding latin-1"):
            read_table(path, Columns())
        assert read_table(path, Columns(), Rules(encoding="latin-1")).records[0].site == "rücken"
        with pytest.raises(RecipeError, match="unknown encoding 'latin1000'"):
            read_table(path, Columns(), Rules(encoding="latin1000"))

    def test_patients_are_read_and_a_like_column_is_named(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        path = write(tmp_path, "image,dx,Patient-ID,case_num,device\na,mel,P1,7,x\nb,nv,unknown,8,y\n")
        index = read_table(path, Columns())
        assert [record.patient_id for record in index.records] == ["P1", ""]
        assert index.notes == (
            "patients are told apart by column 'Patient-ID'; their images stay together",
            "column 'case_num' looks like the id of a patient, case or group and is not used; if its images must stay together, "
            "name it with --patient-column case_num",
            "columns of list.csv that are not used: case_num, device",
        )
        named = read_table(path, Columns(patient="case_num"))
        assert [record.patient_id for record in named.records] == ["7", "8"]
        assert any("'Patient-ID' looks like the id" in note for note in named.notes)

    def test_every_column_is_used_or_named(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        columns = "image,dx,lesion,age,sex,site,split,patient,benign_malignant,one,two"
        index = read_table(
            write(tmp_path, f"{columns}\na,mel,L,1,f,x,,P,malignant,1,2\nb,nv,M,1,male,x,,P,benign,1,2\n"), Columns()
        )
        assert index.notes[1:] == ("columns of list.csv that are not used: one, two", "1 image: sex f is read as female (a)")

    def test_equal_rows_are_dropped_with_a_note(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        index = read_table(write(tmp_path, "image,dx\na,mel\nb,nv\na,mel\na,mel\n"), Columns())
        assert index.ids == ("a", "b")
        assert index.notes == ("2 rows repeat another one and were left out",)

    @pytest.mark.parametrize("text", ["", "unknown", "NaN", "N/A", "none", " "])
    def test_words_for_an_unknown_age(self, tmp_path: Path, text: str) -> None:
        add_images(tmp_path, "a.png", "b.png")
        assert read_table(write(tmp_path, f"image,dx,age\na,mel,{text}\nb,nv,0\n"), Columns()).records[0].age is None

    def test_missing_images_are_counted_or_left_out(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        gone = "".join(f"gone{number},nv\n" for number in range(7))
        path = write(tmp_path, "image,dx\na,mel\nb,nv\n" + gone)
        with pytest.raises(DataError, match=r"7 of 9 .*\(gone0, gone1, gone2, gone3, gone4, \.\.\.\).*--allow-missing"):
            read_table(path, Columns())
        index = read_table(path, Columns(), Rules(missing="drop"))
        assert index.ids == ("a", "b")
        assert "7 of 9 listed images" in index.notes[0]

    def test_not_every_image_may_be_missing(self, tmp_path: Path) -> None:
        add_images(tmp_path, "other.png")
        with pytest.raises(DataError, match="2 of 2 listed images"):
            read_table(write(tmp_path, PLAIN), Columns(), Rules(missing="drop"))

    def test_a_missing_mask(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        path = write(tmp_path, "image,dx,mask\na,mel,a_mask.png\nb,nv,\n")
        with pytest.raises(DataError, match="line 2: mask a_mask.png of image a"):
            read_table(path, Columns())
        assert read_table(path, Columns(), Rules(missing="drop")).records[0].mask == ""

    def test_images_that_are_not_listed_are_noted(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png", "c.png")
        index = read_table(write(tmp_path, PLAIN), Columns())
        assert index.notes == ("1 images are there but not listed, and were left out (c.png)",)

    def test_an_unknown_part(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        with pytest.raises(DataError, match="line 2: split 'exam'; it must be train, validation, test or empty"):
            read_table(write(tmp_path, "image,dx,split\na,mel,exam\nb,nv,\n"), Columns())

    def test_malignant_diagnoses_of_ones_own(self, tmp_path: Path) -> None:
        add_images(tmp_path, "a.png", "b.png")
        index = read_table(write(tmp_path, "image,dx\na,Merkel\nb,wart\n"), Columns(), Rules(malignant=("MERKEL",)))
        assert dict(zip(index.labels.codes, index.labels.malignant, strict=True)) == {"merkel": True, "wart": False}


class TestPathsOfAnotherMachine:
    def test_windows_paths(self, tmp_path: Path) -> None:
        add_images(tmp_path, "images/a.jpg", "images/b.jpg")
        table = write(tmp_path, "image,dx\nC:\\study\\images\\a.jpg,mel\nC:\\study\\images\\B.JPG,nv\n")
        index = read_table(table, Columns())
        assert [(record.image_id, record.path) for record in index.records] == [("a", "images/a.jpg"), ("B", "images/b.jpg")]

    def test_two_paths_that_lead_to_one_image(self, tmp_path: Path) -> None:
        add_images(tmp_path, "1.jpg")
        table = write(tmp_path, "image,dx\nC:\\train\\1.jpg,mel\nC:\\test\\1.jpg,nv\n")
        with pytest.raises(
            DataError, match=r"1 images are listed under several names, the first is 1.jpg; list every image once"
        ):
            read_table(table, Columns())
