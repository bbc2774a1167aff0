"""Request bodies in bounded memory and time: one image, raw or as multipart/form-data."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request

from lesionlens.core.metadata import FIELDS, FORBIDDEN
from lesionlens.serving.limits import Share
from lesionlens.serving.problems import Problem
from lesionlens.serving.subjects import FIELDS as SUBJECT

FIELD_HEAD_BYTES = 8192
MOST_FIELDS = 12
ENVELOPE_BYTES = MOST_FIELDS * FIELD_HEAD_BYTES
NAME_CHARACTERS = 255
VALUE_BYTES = 200
TOLD = tuple(dict.fromkeys((*FIELDS, *FORBIDDEN, *SUBJECT)))
RAW_TYPES = ("application/octet-stream", "application/dicom")
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
PARAMETER = re.compile(r';\s*([A-Za-z*]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)')


class Upload(NamedTuple):
    """One file.

    Attributes:
        data: its bytes; a view of the request's body.
        name: as sent, printable text only; empty if none was sent.
        metadata: texts of the form's fields about patient and lesion; empty if there is no form.
    """

    data: memoryview
    name: str
    metadata: Mapping[str, str] = {}


async def read_body(request: Request, most: int, seconds: float, share: Share) -> bytearray:
    """The whole body.

    Args:
        request: whose body has not been read yet.
        most: largest size, bytes.
        seconds: time for it to arrive.
        share: of the memory for uploads.

    Raises:
        Problem: `upload_too_large`, `upload_too_slow`, `malformed_upload` or `busy`.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > most:
                    raise _too_large(most)
                share.take(len(chunk))
                body += chunk
    except TimeoutError as error:
        detail = f"the request did not arrive within {seconds:g} s; send it again over a better connection"
        raise Problem("upload_too_slow", detail, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise Problem("malformed_upload", "the connection ended before the upload did") from error
    return body


async def read_upload(request: Request, most: int, seconds: float, share: Share) -> Upload:
    """The one image of a request, raw or in the field `file` of a form; arguments as for `read_body`.

    Raises:
        Problem: if it is too large, too slow, empty, of another media type, or not a valid form.
    """
    kind, parameters = media_type(request.headers.get("content-type", RAW_TYPES[0]))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "a Content-Encoding is not supported; send the file as it is")
    if kind == "multipart/form-data":
        upload = parse_form(await read_body(request, most + ENVELOPE_BYTES, seconds, share), _boundary(parameters))
    elif kind in RAW_TYPES or kind.startswith("image/"):
        body = await read_body(request, most, seconds, share)
        upload = Upload(memoryview(body), file_name(media_type(request.headers.get("content-disposition", ""))[1]))
    else:
        raise Problem(
            "unsupported_media_type",
            "send the image as multipart/form-data with a field `file`, or as the body with Content-Type image/*, "
            "application/dicom or application/octet-stream",
        )
    if not upload.data:
        raise Problem("malformed_upload", "the file is empty (0 bytes); choose it again")
    check_size(upload.data, most)
    return upload


async def read_uploads(request: Request, most: int, seconds: float, share: Share, most_files: int) -> list[Upload]:
    """The images of a form, one or more fields `file`; arguments as for `read_body`.

    Args:
        most_files: how many there may be.

    Raises:
        Problem: if it is too large, too slow, no valid form, or a file is empty.
    """
    kind, parameters = media_type(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise Problem("unsupported_media_type", "send the images as multipart/form-data, each in a field `file`")
    boundary = _boundary(parameters)
    files = parse_files(await read_body(request, most, seconds, share), boundary, most_files)
    if not files:
        raise Problem("malformed_upload", "the form has no field called `file`; send at least one")
    empty = [number for number, upload in enumerate(files) if not upload.data]
    if empty:
        raise Problem("malformed_upload", f"file number {empty[0] + 1} is empty (0 bytes); choose it again")
    return files


def parse_form(body: bytearray, boundary: bytes) -> Upload:
    """The fields `file`, `age`, `sex`, `site`, `case`, `lesion` and `taken` of a multipart/form-data body (RFC 7578).

    Fields that no network may see are kept as well, for whoever refuses them; others are skipped.

    Raises:
        Problem: `malformed_upload`, if it is cut short, has no field `file` or several, one field twice, or too many fields.
    """
    files = parse_files(body, boundary, MOST_FIELDS)
    if len(files) != 1:
        raise Problem("malformed_upload", f"the form has {len(files)} fields called `file`; it must have exactly one")
    return files[0]


def parse_files(body: bytearray, boundary: bytes, most_fields: int) -> list[Upload]:
    """All fields `file` of a multipart/form-data body, in their order; what it says of the patient belongs to all of them.

    Raises:
        Problem: `malformed_upload`, if it is cut short, has one field of the patient twice, or too many fields.
    """
    mark = b"--" + boundary
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if at < 2 and not body.startswith(mark):
        raise Problem("malformed_upload", "the form does not begin with its boundary")
    files: list[Upload] = []
    metadata: dict[str, str] = {}
    view = memoryview(body)
    for _ in range(most_fields + 1):
        at += len(mark)
        if body[at : at + 2] == b"--":
            break
        start, end = _field(body, at, mark)
        parameters = _disposition(bytes(view[at + 2 : start - 2]))
        name = parameters.get("name", "")
        if name == "file":
            files.append(Upload(view[start:end], file_name(parameters)))
        elif name in TOLD:
            if name in metadata:
                raise Problem("malformed_upload", f"the form has the field `{name}` twice; send it once")
            metadata[name] = plain_text(bytes(view[start:end][:VALUE_BYTES]).decode("utf-8", "replace"))
        at = end + 2
    else:
        raise Problem("malformed_upload", f"the form has more than {most_fields} fields; send one `file` and what is known of it")
    return [upload._replace(metadata=metadata) for upload in files]


def _boundary(parameters: dict[str, str]) -> bytes:
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise Problem("malformed_upload", "multipart/form-data needs a boundary of 1 to 70 plain characters")
    return boundary.encode()


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """The value of a header such as Content-Type, in lower case, and its parameters."""
    value, _, rest = header.partition(";")
    parameters: dict[str, str] = {}
    for name, text in PARAMETER.findall(";" + rest):
        quoted = text.startswith('"')
        parameters.setdefault(name.lower(), re.sub(r'\\(["\\])', r"\1", text[1:-1]) if quoted else text)
    return value.strip().lower(), parameters


def file_name(parameters: dict[str, str]) -> str:
    """The file name among the parameters of Content-Disposition: printable, at most 255 characters."""
    name = parameters.get("filename", "")
    charset, quote, encoded = parameters.get("filename*", "").partition("''")
    if quote and charset.lower() in ("utf-8", "iso-8859-1"):
        name = unquote_to_bytes(encoded).decode(charset, "replace")
    return plain_text(name)[:NAME_CHARACTERS]


def plain_text(text: str, keep: str = "") -> str:
    """Text without control and formatting characters (line ends, terminal codes, bidirectional marks), except `keep`."""
    return "".join(letter for letter in text if letter.isprintable() or letter in keep)


def _field(body: bytearray, at: int, mark: bytes) -> tuple[int, int]:
    """Start and end of the content of the field whose boundary ends at `at`."""
    head = body.find(b"\r\n\r\n", at, at + FIELD_HEAD_BYTES)
    if body[at : at + 2] != b"\r\n" or head < 0:
        raise Problem("malformed_upload", f"a field of the form has no headers, or more than {FIELD_HEAD_BYTES} bytes of them")
    end = body.find(b"\r\n" + mark, head + 4)
    if end < 0:
        raise Problem("malformed_upload", "the form is cut short: its last boundary is missing")
    return head + 4, end


def _disposition(block: bytes) -> dict[str, str]:
    for line in block.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return media_type(value.decode("utf-8", "replace").strip())[1]
    return {}


def check_size(data: memoryview, most: int) -> None:
    """Refuse one file that is too large.

    Raises:
        Problem: `upload_too_large`.
    """
    if len(data) > most:
        raise _too_large(most)


def _too_large(most: int) -> Problem:
    return Problem("upload_too_large", f"an upload may have {most:,} bytes; send a smaller file")
