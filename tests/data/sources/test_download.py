"""Data sets: their files from a server on this machine, unpacked without surprises."""

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lesionlens.core.errors import DownloadError, RecipeError
from lesionlens.data.sources import download as download_module
from lesionlens.data.sources.download import DATASETS, Dataset, RemoteFile, download, unzip
from lesionlens.data.sources.fetch import Patience

QUICK = Patience(attempts=2, wait_s=0.0, timeout_s=5.0)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def serve(monkeypatch):
    """Start servers of fixed files; returns the base address and the paths asked for."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = []

    def start(files: dict[str, bytes]) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                content = files.get(self.path[1:])
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments) -> None:
                pass

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        running.append((httpd, thread))
        return f"http://127.0.0.1:{httpd.server_port}/", asked

    yield start
    for httpd, thread in running:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


IMAGES = archive({"images/a.jpg": b"a", "images/b.jpg": b"b", "__MACOSX/images/._a.jpg": b"x", "images/.DS_Store": b"x"})
TABLE = b"image_id,dx\na,mel\n"


@pytest.fixture
def small(monkeypatch):
    def md5(content: bytes) -> str:
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    files = (
        RemoteFile("table.csv", "1?format=original", len(TABLE), md5(TABLE)),
        RemoteFile("images.zip", "2", len(IMAGES), md5(IMAGES), "images"),
    )
    monkeypatch.setitem(download_module.DATASETS, "small", Dataset("Small", "none", ("http://127.0.0.1:1/",), files))
    return {"1?format=original": TABLE, "2": IMAGES}


def test_a_data_set_is_fetched_unpacked_and_then_skipped(serve, small, tmp_path):
    base, asked = serve(small)
    made = download("small", tmp_path, [base], patience=QUICK)
    assert made == [tmp_path / "table.csv", tmp_path / "images"]
    assert sorted(path.name for path in (tmp_path / "images").rglob("*")) == ["a.jpg", "b.jpg"]
    assert (tmp_path / "table.csv").read_bytes() == TABLE
    assert not (tmp_path / "images.zip").exists()
    asked.clear()
    download("small", tmp_path, [base], patience=QUICK)
    assert asked == []


def test_the_next_base_is_tried_where_a_file_is_absent(serve, small, tmp_path):
    (first, asked), (second, _) = serve({"1?format=original": TABLE}), serve(small)
    download("small", tmp_path, [first, second], patience=QUICK)
    assert (tmp_path / "images" / "a.jpg").read_bytes() == b"a"
    assert asked == ["/1?format=original", "/2"]


def test_a_file_that_no_base_has_is_an_error(serve, small, tmp_path):
    first, second = serve({})[0], serve({})[0]
    with pytest.raises(DownloadError, match="HTTP 404"):
        download("small", tmp_path, [first, second], patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(RecipeError, match="unknown data set 'ham1000'; known are ham10000, isic2018-test, isic2018, isic2019"):
        download("ham1000", tmp_path)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_an_archive_that_climbs_out_is_refused(tmp_path, name):
    path = tmp_path / "evil.zip"
    path.write_bytes(archive({"good.txt": b"1", name: b"2"}))
    with pytest.raises(DownloadError, match="outside its folder"):
        unzip(path, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not (tmp_path / "deep" / "out").exists()


def test_an_archive_with_a_link_is_refused(tmp_path):
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as opened:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DownloadError, match="outside its folder"):
        unzip(path, tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 40, len(IMAGES) - 5])
def test_a_damaged_archive_leaves_no_folder(tmp_path, keep):
    path = tmp_path / "cut.zip"
    path.write_bytes(IMAGES[:keep])
    with pytest.raises(DownloadError, match="not a whole zip archive"):
        unzip(path, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["cut.zip"]


def test_changed_bytes_inside_an_archive_are_noticed(tmp_path):
    content = archive({"a.txt": b"0123456789"})
    path = tmp_path / "changed.zip"
    path.write_bytes(content.replace(b"0123456789", b"0123456780"))
    with pytest.raises(DownloadError, match="not a whole zip archive"):
        unzip(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_a_single_folder_around_everything_is_taken_off(tmp_path):
    path = tmp_path / "two.zip"
    path.write_bytes(archive({"a/1.txt": b"1", "b/2.txt": b"2"}))
    unzip(path, tmp_path / "out")
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.txt")) == ["a/1.txt", "b/2.txt"]


def test_ham10000_is_the_published_one():
    files = {file.name: file for file in DATASETS["ham10000"].files}
    assert files["HAM10000_metadata.csv"].md5 == "8f85fb1aa29d80a2797247e434deb79d"
    assert files["HAM10000_metadata.csv"].path == "4338392?format=original"
    assert files["HAM10000_images_part_1.zip"] == RemoteFile(
        "HAM10000_images_part_1.zip", "3172585", 1_366_522_108, "4639bfa73ab251610530a97c898e6e46", "HAM10000_images_part_1"
    )
    assert files["HAM10000_images_part_2.zip"].size_bytes == 1_403_566_547
    assert replace(files["HAM10000_images_part_2.zip"], name="").md5 == "da43d6cc50f6613013be07e8986b384b"


def test_every_data_set_names_licence_and_https_bases():
    for dataset in DATASETS.values():
        assert dataset.licence
        assert all(base.startswith("https://") and base.endswith("/") for base in dataset.bases)
        assert len({file.name for file in dataset.files}) == len(dataset.files)
