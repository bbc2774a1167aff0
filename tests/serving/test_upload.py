import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.serving.problems import Problem
from lesionlens.serving.upload import MOST_FIELDS, file_name, media_type, parse_form, plain_text


def form(*parts, boundary=b"XX", end=b"--"):
    body = b"".join(b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return bytearray(body + b"--" + boundary + end + b"\r\n")


FILE = b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg'


def test_the_file_of_a_form():
    upload = parse_form(form((b'Content-Disposition: form-data; name="note"', b"hello"), (FILE, b"\xff\xd8data")), b"XX")
    assert bytes(upload.data) == b"\xff\xd8data"
    assert upload.name == "a.jpg"


@given(data=st.binary(max_size=300), name=st.text(max_size=20))
def test_any_bytes_come_through(data, name):
    if b"\r\n--XX" in b"\r\n" + data:
        return
    head = (
        b'Content-Disposition: form-data; name="file"; filename="'
        + re.sub(r'(["\\])', r"\\\1", name).encode("utf-8", "replace")
        + b'"'
    )
    if b"\r\n" in head:
        return
    upload = parse_form(form((head, data)), b"XX")
    assert bytes(upload.data) == data
    assert upload.name == plain_text(name.encode("utf-8", "replace").decode()) or "\n" in name or "\r" in name


def test_an_empty_file_is_found_empty():
    assert bytes(parse_form(form((FILE, b"")), b"XX").data) == b""


@pytest.mark.parametrize(
    "body",
    [
        bytearray(),
        bytearray(b"no boundary at all"),
        form(),
        form((b'Content-Disposition: form-data; name="other"', b"x")),
        form((FILE, b"x"), (FILE, b"y")),
        form((FILE, b"x"), end=b"no"),
        form((FILE, b"x"))[:-12],
        form((FILE, b"x"))[:30],
        form(*[(b'Content-Disposition: form-data; name="n"', b"x")] * (MOST_FIELDS + 1)),
        form((b"A: " + b"x" * 9000, b"x")),
        bytearray(b"--XX"),
        bytearray(b"--XX\r\n"),
        bytearray(b"--XXX\r\n" + FILE + b"\r\n\r\nx\r\n--XX--"),
    ],
)
def test_a_form_that_is_none(body):
    with pytest.raises(Problem) as found:
        parse_form(body, b"XX")
    assert found.value.code == "malformed_upload"


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data):
    for body in (data, b"--XX\r\n" + data, b"--XX\r\n" + FILE + b"\r\n\r\n" + data):
        with suppress(Problem):
            parse_form(bytearray(body), b"XX")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('form-data; name="file"; filename="a b.jpg"', "a b.jpg"),
        ("form-data; name=file; filename=a.jpg", "a.jpg"),
        ('form-data; filename="say \\"hi\\".jpg"', 'say "hi".jpg'),
        ("form-data; filename*=UTF-8''%e2%82%ac.jpg", "€.jpg"),
        ("form-data; filename=\"x\"; filename*=utf-8''%ff", "\ufffd"),
        ('form-data; filename="<img src=x onerror=alert(1)>.jpg"', "<img src=x onerror=alert(1)>.jpg"),
        ('form-data; filename="../../etc/passwd"', "../../etc/passwd"),
        ('form-data; filename="a\x1b[31m\u202egpj.exe"', "a[31mgpj.exe"),
        ("form-data", ""),
    ],
)
def test_names_are_text(header, name):
    assert file_name(media_type(header)[1]) == name


def test_a_name_is_cut():
    assert len(file_name({"filename": "x" * 5000})) == 255


def test_media_types():
    assert media_type("Image/JPEG; Charset=x") == ("image/jpeg", {"charset": "x"})
    assert media_type('multipart/form-data; boundary="a;b"') == ("multipart/form-data", {"boundary": "a;b"})
    assert media_type("") == ("", {})
