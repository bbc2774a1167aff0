"""Self-tests that a variant has passed on this machine, in the user's cache: a short command need not repeat them.

What passed is remembered for the bundle's hash, the variant, its runtime and limits, and everything that the results depend
on: processor, version of the runtime and of LesionLens. The files of the bundle are compared with their hashes every time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.bundle.bundle import Bundle, Variant
from lesionlens.bundle.engines import Limits, version_of
from lesionlens.core.artifact import hash_value, read_json, write_json
from lesionlens.core.cache import VARIABLE, cache_folder
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.core.machine import machine_facts, simulated_isa

FOLDER = "passed"


@dataclass(frozen=True)
class PassedChecks:
    """What a variant has passed.

    Attributes:
        selftest: largest differences from what is expected, for people.
        saturation: how far int8 was from fp32, for people; empty where it was not compared.
        day: when it passed, UTC, such as 2026-11-27.
    """

    selftest: str
    saturation: str
    day: str = ""


class CheckMemory:
    """The place where it is remembered that a variant has passed.

    Args:
        bundle: whose variant it is.
        variant: that was loaded.
        runtime: that runs it.
        limits: that it was loaded with.
    """

    def __init__(self, bundle: Bundle, variant: Variant, runtime: str, limits: Limits) -> None:
        key: dict[str, Any] = {"bundle": bundle.id, "variant": variant.name, "runtime": [runtime, version_of(runtime)]}
        key |= {"limits": list(limits), "machine": machine_facts(), "simulated": simulated_isa(), "version": __version__}
        folder = cache_folder()
        self.path: Path | None = None if folder is None else folder / FOLDER / f"{hash_value(key)[:32]}.json"

    def read(self) -> PassedChecks | None:
        """What it has passed; None if that is not known, or the file is damaged, which only means that it is checked again."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            found = PassedChecks(**read_json(self.path))
        except (ArtifactError, TypeError, OSError):
            return None
        return found if all(isinstance(value, str) for value in asdict(found).values()) and found.day else None

    def write(self, passed: PassedChecks) -> tuple[str, ...]:
        """Remember it; a note where the cache cannot be written."""
        if self.path is None:
            return ()
        day = datetime.now(UTC).date().isoformat()
        try:
            write_json(self.path, asdict(PassedChecks(passed.selftest, passed.saturation, day)))
        except (OSError, StorageError) as error:
            return (
                f"the self-test is repeated at every start, because {self.path.parent} is not writable ({error}); see {VARIABLE}",
            )
        return ()
