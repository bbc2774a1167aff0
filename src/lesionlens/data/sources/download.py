"""Download the public images: resumed where it broke off, checked before it counts."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lesionlens.core.artifact import atomic_folder, storage_errors
from lesionlens.core.errors import DownloadError, RecipeError
from lesionlens.data.sources.fetch import MissingFileError, Patience, Progress, fetch

DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile/"
ISIC_ARCHIVE = "https://isic-archive.s3.amazonaws.com/challenges/"
ISIC_CHALLENGE = "https://isic-challenge-data.s3.amazonaws.com/"


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch.

    Attributes:
        name: of the file once fetched.
        path: behind the base address.
        size_bytes: exact size; None where the source states none.
        md5: hexadecimal; empty where the source states none.
        unzip_into: folder for the members of an archive; empty if it is none.
    """

    name: str
    path: str
    size_bytes: int | None = None
    md5: str = ""
    unzip_into: str = ""


@dataclass(frozen=True)
class Dataset:
    """Files that belong together.

    Attributes:
        title: for people.
        licence: under which the images are shared, and whom to cite.
        bases: base addresses; the next is tried where one does not hold a file.
        files: what to fetch.
    """

    title: str
    licence: str
    bases: tuple[str, ...]
    files: tuple[RemoteFile, ...]


_HAM10000_LICENCE = "CC BY-NC 4.0; cite Tschandl, Rosendahl & Kittler, Sci. Data 5:180161 (2018), doi:10.1038/sdata.2018.161"
_ISIC = (ISIC_ARCHIVE, ISIC_CHALLENGE)


def _isic(path: str) -> RemoteFile:
    name = path.rpartition("/")[2]
    return RemoteFile(name, path, unzip_into=name.removesuffix(".zip") if name.endswith(".zip") else "")


DATASETS: dict[str, Dataset] = {
    "ham10000": Dataset(
        "HAM10000, 10,015 dermoscopic images with lesion masks (Harvard Dataverse, doi:10.7910/DVN/DBW86T)",
        _HAM10000_LICENCE,
        (DATAVERSE,),
        (
            RemoteFile("HAM10000_metadata.csv", "4338392?format=original", 690_218, "8f85fb1aa29d80a2797247e434deb79d"),
            RemoteFile(
                "HAM10000_segmentations_lesion_tschandl.zip",
                "3838943",
                10_808_743,
                "6e8d252e09cfdb0189199f15985a5b84",
                "HAM10000_segmentations_lesion_tschandl",
            ),
            RemoteFile(
                "HAM10000_images_part_1.zip",
                "3172585",
                1_366_522_108,
                "4639bfa73ab251610530a97c898e6e46",
                "HAM10000_images_part_1",
            ),
            RemoteFile(
                "HAM10000_images_part_2.zip",
                "3172584",
                1_403_566_547,
                "da43d6cc50f6613013be07e8986b384b",
                "HAM10000_images_part_2",
            ),
        ),
    ),
    "isic2018-test": Dataset(
        "ISIC 2018 task 3, 1,511 test images with ground truth (Harvard Dataverse, doi:10.7910/DVN/DBW86T)",
        _HAM10000_LICENCE,
        (DATAVERSE,),
        (
            RemoteFile(
                "ISIC2018_Task3_Test_GroundTruth.csv",
                "6924466?format=original",
                None,
                "2b5663aacc9644740f27e355cf7f369a",
            ),
            RemoteFile(
                "ISIC2018_Task3_Test_Images.zip",
                "3855824",
                None,
                "0488b6f65849e310857d9207daa55a21",
                "ISIC2018_Task3_Test_Images",
            ),
        ),
    ),
    "isic2018": Dataset(
        "ISIC 2018 challenge, task 3: training, validation and test images",
        _HAM10000_LICENCE,
        _ISIC,
        tuple(
            _isic(f"2018/ISIC2018_Task3_{name}")
            for name in (
                "Training_GroundTruth.zip",
                "Training_LesionGroupings.csv",
                "Training_Input.zip",
                "Validation_GroundTruth.zip",
                "Validation_Input.zip",
                "Test_GroundTruth.zip",
                "Test_Input.zip",
            )
        ),
    ),
    "isic2019": Dataset(
        "ISIC 2019 challenge: 25,331 training images in eight diagnoses",
        "CC BY-NC 4.0; cite Tschandl 2018, Codella 2018 (arXiv:1710.05006) and Hernandez-Perez 2024 (BCN20000)",
        _ISIC,
        tuple(_isic(f"2019/ISIC_2019_Training_{name}") for name in ("GroundTruth.csv", "Metadata.csv", "Input.zip")),
    ),
}


def download(
    name: str,
    root: Path,
    bases: Sequence[str] | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> list[Path]:
    """Fetch and unpack all files of a data set; what is complete already is skipped.

    Args:
        name: a key of `DATASETS`.
        root: folder to fill.
        bases: base addresses to use instead of the data set's own (a mirror).
        progress: called with (file name, bytes so far, bytes in all or None).
        patience: how long to try.

    Returns:
        The files and folders of the data set.

    Raises:
        RecipeError: if the name is unknown.
        DownloadError: if a file cannot be had, or an archive is damaged.
        StorageError: if the disk is full or may not be written.
    """
    if name not in DATASETS:
        raise RecipeError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    return [_obtain(file, bases or dataset.bases, root, progress, patience or Patience()) for file in dataset.files]


def _obtain(file: RemoteFile, bases: Sequence[str], root: Path, progress: Progress | None, patience: Patience) -> Path:
    folder = root / file.unzip_into
    if file.unzip_into and folder.is_dir():
        return folder
    archive = root / file.name
    _fetch_from_any(file, bases, archive, progress, patience)
    if not file.unzip_into:
        return archive
    unzip(archive, folder)
    with storage_errors(archive):
        archive.unlink()
    return folder


def _fetch_from_any(file: RemoteFile, bases: Sequence[str], path: Path, progress: Progress | None, patience: Patience) -> None:
    for number, base in enumerate(bases):
        try:
            fetch(base + file.path, path, file.md5, file.size_bytes, progress, patience)
            return
        except MissingFileError:
            if number == len(bases) - 1:
                raise


def unzip(archive: Path, folder: Path) -> None:
    """Unpack an archive into `folder`, whole or not at all.

    A single folder around everything is taken off, and what macOS adds (`__MACOSX`, `.DS_Store`) is
    left out.

    Raises:
        DownloadError: if the archive is damaged, or a member would land outside `folder`.
        StorageError: if the disk is full or may not be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened, atomic_folder(folder) as temporary:
            members = _members(opened, archive)
            for member, inside in members:
                target = temporary.joinpath(*inside.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("wb") as written:
                    shutil.copyfileobj(source, written, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DownloadError(f"{archive} is not a whole zip archive ({error}); delete it and download it again") from error


def _members(opened: zipfile.ZipFile, archive: Path) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files of an archive and where each belongs below the target folder."""
    found = []
    for member in opened.infolist():
        # Windows reads backslashes and drive letters as paths too.
        path = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
        if path.is_absolute() or ".." in path.parts or ":" in member.filename or is_link:
            raise DownloadError(
                f"{archive} holds {member.filename!r}, which would land outside its folder; do not trust this archive"
            )
        if not member.is_dir() and "__MACOSX" not in path.parts and path.name != ".DS_Store":
            found.append((member, path))
    tops = {path.parts[0] for _, path in found}
    around = len(tops) == 1 and all(len(path.parts) > 1 for _, path in found)
    return [(member, PurePosixPath(*path.parts[1:]) if around else path) for member, path in found]
