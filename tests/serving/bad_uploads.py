"""Bad uploads by the hundred: files that are no usable image, and requests that are no valid upload.

Each is the head and body of one HTTP request; all are made here, the same on every run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.serving.bad_dicom import bad_dicom
from tests.serving.bad_images import bad_images, good_images

TARGET = "/v1/predictions"
BOUNDARY = "lesion-boundary"
RAW = "application/octet-stream"


@dataclass(frozen=True)
class BadUpload:
    """One request that must be refused.

    Attributes:
        name: what is wrong with it.
        headers: beside Host and, unless it is among them, Content-Length.
        body: of the request.
        statuses: of which one must come.
        target: method and path.
        is_http: whether the HTTP parser lets it pass; else 400 as plain text will do.
    """

    name: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    statuses: tuple[int, ...] = (400, 413, 415, 422)
    target: str = f"POST {TARGET}"
    is_http: bool = True

    def request(self, host: str) -> bytes:
        """The bytes to send."""
        headers = [("Host", host), *self.headers]
        names = {name.lower() for name, _ in headers}
        if not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


def form(*parts: tuple[str, bytes], boundary: str = BOUNDARY, end: bool = True) -> bytes:
    """A multipart body of (headers, content) pairs."""
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(mark + head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return body + (f"--{boundary}--\r\n".encode() if end else b"")


def file_part(content: bytes, name: str = "lesion.jpg", field: str = "file") -> tuple[str, bytes]:
    """The part of a form that holds a file."""
    return f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: image/jpeg', content


def multipart(boundary: str = BOUNDARY) -> tuple[tuple[str, str], ...]:
    """The header of a form."""
    return (("Content-Type", f"multipart/form-data; boundary={boundary}"),)


def bad_files() -> Iterator[BadUpload]:
    """Every bad image, half of them as forms and half as the body itself, under whatever media type."""
    kinds = ("image/jpeg", "image/png", "application/dicom", RAW)
    for number, (name, content) in enumerate([*bad_images(), *bad_dicom()]):
        if number % 2:
            yield BadUpload(name, multipart(), form(file_part(content)))
        else:
            yield BadUpload(name, (("Content-Type", kinds[number // 2 % 4]),), content)


def bad_forms() -> Iterator[BadUpload]:
    """Forms that are broken, or hold no file, or several."""
    image = good_images()["jpeg"]
    whole = form(file_part(image))
    yield BadUpload("empty form", multipart(), b"")
    yield BadUpload("form of nothing but its end", multipart(), form())
    yield BadUpload("form without boundary", (("Content-Type", "multipart/form-data"),), whole)
    yield BadUpload("form with an empty boundary", (("Content-Type", "multipart/form-data; boundary="),), whole)
    yield BadUpload("form with another boundary", multipart("another"), whole)
    yield BadUpload("form with a boundary of 300 letters", multipart("b" * 300), whole)
    yield BadUpload("form with a boundary of signs", multipart('"\\x00<>@"'), whole)
    yield BadUpload("form without its end", multipart(), form(file_part(image), end=False))
    for share in (10, 100, 1000, len(whole) - 10):
        yield BadUpload(f"form cut to {share} bytes", multipart(), whole[:share])
    yield BadUpload("form without the field", multipart(), form(file_part(image, field="photo")))
    yield BadUpload("form with the field in capitals", multipart(), form(file_part(image, field="FILE")))
    yield BadUpload(
        "form with text for a file", multipart(), form(('Content-Disposition: form-data; name="file"', b"lesion.jpg"))
    )
    yield BadUpload("form with an empty file", multipart(), form(file_part(b"")))
    yield BadUpload("form with two files", multipart(), form(file_part(image), file_part(image)))
    yield BadUpload("form with fifty files", multipart(), form(*[file_part(image)] * 50))
    yield BadUpload(
        "form with a thousand fields", multipart(), form(*[('Content-Disposition: form-data; name="a"', b"b")] * 1000)
    )
    nested = f'Content-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}2'
    yield BadUpload("form in a form", multipart(), form((nested, form(file_part(image), boundary=f"{BOUNDARY}2"))))
    yield BadUpload("form whose part has no headers", multipart(), form(("", image)))
    yield BadUpload("form whose part has no disposition", multipart(), form(("Content-Type: image/jpeg", image)))
    yield BadUpload("form whose part has a giant header", multipart(), form((f"X-Long: {'a' * 100_000}", image)))
    yield BadUpload("form whose part has 5000 headers", multipart(), form(("\r\n".join(["X-A: b"] * 5000), image)))
    yield BadUpload("form with bare line feeds", multipart(), whole.replace(b"\r\n", b"\n"))
    yield BadUpload("form of urls", (("Content-Type", "application/x-www-form-urlencoded"),), b"file=lesion.jpg")
    names = {
        "path": "../../etc/passwd",
        "html": "<img src=x onerror=alert(1)>",
        "zero": "a%00.jpg",
        "letters": "Läsion\u202egpj.exe",
    }
    for kind, name in {**names, "10,000 letters": "a" * 10_000, "sql": "'; DROP TABLE answers;--"}.items():
        yield BadUpload(f"form with a bad file whose name holds {kind}", multipart(), form(file_part(b"no image", name)))


def bad_bodies() -> Iterator[BadUpload]:
    """Media types, codings and parameters that are not supported."""
    image = good_images()["jpeg"]
    kinds = ("text/plain", "text/html", "application/json", "application/pdf", "video/mp4", "audio/mpeg", "application/zip")
    for kind in (*kinds, "multipart/mixed; boundary=a", "x", "", "/", "image", "multipart/form-data;;;", "*/*"):
        yield BadUpload(f"an image as {kind!r}", (("Content-Type", kind),), image, (400, 415))
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x"):
        yield BadUpload(f"an image in coding {coding}", (("Content-Type", RAW), ("Content-Encoding", coding)), image, (415,))
    yield BadUpload("nothing", (("Content-Type", "image/jpeg"),), b"")
    yield BadUpload("nothing of no type", (), b"")
    for frame in ("1", "-1", "99999999999999999999", "a", "1.5", "", "0;0", "%00", "None"):
        headers = (("Content-Type", "image/jpeg"),)
        yield BadUpload(f"frame {frame!r}", headers, image, (400, 422), target=f"POST {TARGET}?frame={frame}")
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "BREW"):
        yield BadUpload(f"method {method}", (("Content-Type", RAW),), image, (405,), target=f"{method} {TARGET}")
    for path in (
        "/v1/prediction",
        "/v2/predictions",
        "/v1/predictions/../../etc/passwd",
        "//v1//predictions",
        "/v1/predictions/",
    ):
        yield BadUpload(f"address {path}", (("Content-Type", RAW),), image, (404, 405), target=f"POST {path}")


def bad_heads() -> Iterator[BadUpload]:
    """Requests whose heads are too long, contradict themselves, or are not HTTP."""
    image = good_images()["jpeg"]
    kind = ("Content-Type", "image/jpeg")
    wrong = (400, 411, 413, 414, 431, 501)
    yield BadUpload("a header of 100,000 bytes", (kind, ("X-Long", "a" * 100_000)), image, wrong)
    yield BadUpload("2000 headers", (kind, *[(f"X-{number}", "a") for number in range(2000)]), image, wrong)
    yield BadUpload("an address of 100,000 bytes", (kind,), image, wrong, target=f"POST {TARGET}?{'a' * 100_000}")
    for length in ("-1", "abc", "1e3", "0x10", "99999999999999999999999", "1,2", "+5", ""):
        yield BadUpload(f"content length {length!r}", (kind, ("Content-Length", length)), image, wrong)
    yield BadUpload("two content lengths", (kind, ("Content-Length", "5"), ("Content-Length", "6")), image, wrong)
    yield BadUpload(
        "content length of a gigabyte", (kind, ("Content-Length", str(2**30)), ("Expect", "100-continue")), b"", (413,)
    )
    for coding in ("gzip", "chunked, gzip", "x", "chunked, chunked"):
        yield BadUpload(f"transfer encoding {coding}", (kind, ("Transfer-Encoding", coding)), image, wrong)
    chunked = (kind, ("Transfer-Encoding", "chunked"))
    for body in (
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-5\r\nabc\r\n",
        b"5;a=" + b"b" * 50_000 + b"\r\nabcde\r\n0\r\n\r\n",
        b"f" * 30 + b"\r\na",
    ):
        yield BadUpload(f"chunk that begins with {body[:8]!r}", chunked, body, (400, 422))
    yield BadUpload("chunks of no image", chunked, b"5\r\nhello\r\n0\r\n\r\n")
    yield BadUpload("a header with a zero in it", (kind, ("X-Zero", "a\0b")), image, wrong)
    yield BadUpload("a header name with a space", (kind, ("X A", "b")), image, wrong)
    yield BadUpload("another version", (kind,), image, wrong, target=f"POST {TARGET} HTTP/9.9")
    yield BadUpload("no method", (kind,), image, wrong, target=TARGET)


@functools.cache
def bad_uploads() -> list[BadUpload]:
    """All of the above."""
    sound = [upload for kind in (bad_files, bad_forms, bad_bodies) for upload in kind()]
    return [*sound, *(replace(upload, is_http=False) for upload in bad_heads())]
