"""The part of S3 that reading and writing files needs, on loopback and without checking signatures.

Requests: GET, with a range too, HEAD, PUT, DELETE, ListObjectsV2, and uploads in several parts.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

XML = '<?xml version="1.0" encoding="UTF-8"?>'


class S3Server(ThreadingHTTPServer):
    """A server with one bucket called `bucket`.

    Attributes:
        objects: contents by key; another dictionary of parts while they are uploaded.
        reads: keys that were read, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.reads: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment says."""
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}", "AWS_EC2_METADATA_DISABLED": "true"}

    def __enter__(self) -> S3Server:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: S3Server

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/bucket").lstrip("/")

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self) -> bytes:
        """Content of the request, which clients may send in signed chunks."""
        if "chunked" not in self.headers.get("Content-Encoding", "") and "STREAMING" not in self.headers.get(
            "x-amz-content-sha256", ""
        ):
            return self.rfile.read(int(self.headers["Content-Length"]))
        content = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
        while raw:
            head, _, raw = raw.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if not size:
                break
            content, raw = content + raw[:size], raw[size + 2 :]
        return content

    def do_GET(self) -> None:
        if not self.key:
            self.list()
            return
        content = self.server.objects.get(self.key)
        if content is None:
            self.send(404, f"{XML}<Error><Code>NoSuchKey</Code></Error>".encode())
            return
        if self.command == "HEAD":
            self.send(200, Content_Length=str(len(content)), ETag='"1"')
            return
        self.server.reads.append(self.key)
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1 if last else None]
            self.send(206, part, Content_Range=f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}", ETag='"1"')
        else:
            self.send(200, content, ETag='"1"')

    do_HEAD = do_GET

    def list(self) -> None:
        """ListObjectsV2."""
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        keys, folders = [], set()
        for key in sorted(self.server.objects):
            if key.startswith(prefix):
                rest, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                folders.add(f"{prefix}{rest}{cut}") if cut else keys.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        count = f"<KeyCount>{len(keys) + len(folders)}</KeyCount><IsTruncated>false</IsTruncated>"
        self.send(200, f"{XML}<ListBucketResult><Name>bucket</Name>{count}{contents}{common}</ListBucketResult>".encode())

    def do_PUT(self) -> None:
        content = self.body()
        if "uploadId" in self.query:
            self.server.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = content
        else:
            self.server.objects[self.key] = content
        self.send(200, ETag='"1"')

    def do_POST(self) -> None:
        self.body()
        if "uploads" in self.query:
            name = str(len(self.server.uploads))
            self.server.uploads[name] = {}
            answer = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
        else:
            parts = self.server.uploads.pop(self.query["uploadId"])
            self.server.objects[self.key] = b"".join(parts[number] for number in sorted(parts))
            answer = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        self.send(200, f"{XML}{answer}".encode())

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.key, None)
        self.send(204)
