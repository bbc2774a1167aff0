"""What was measured of a bundle on this machine, as remembered in the user's cache: which variant is fastest here.

`tuning` measures it. Nothing of it is in the bundle, which may be copied to a machine of another kind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import RUNTIMES, Bundle
from lesionlens.bundle.engines import installed, version_of
from lesionlens.core.artifact import hash_value, read_json, write_json
from lesionlens.core.cache import VARIABLE, cache_folder
from lesionlens.core.errors import ArtifactError, BundleError, StorageError
from lesionlens.core.machine import machine_facts, simulated_isa

FORMAT = 1
FOLDER = "tuning"
MARGIN = 1.05  # the bundle's default stays unless another is that much faster: less is noise


@dataclass(frozen=True)
class Timing:
    """One variant on one runtime.

    Attributes:
        variant: its name.
        runtime: what runs it.
        median_ms: per image, batch 1; None if it may not or cannot run here.
        calls: that were timed.
        reason: why it has no time; empty if it has one.
    """

    variant: str
    runtime: str
    median_ms: float | None = None
    calls: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """Variant and runtime, for people."""
        return f"{self.variant} on {self.runtime}"


@dataclass(frozen=True)
class Tuning:
    """What was measured of one bundle on one machine.

    Attributes:
        bundle: id of the bundle.
        default: what would run without a measurement, as `variant on runtime`.
        measured: day and time, UTC.
        rows: one for each variant and runtime.
        threads: of computation that are best for the fastest row; 0 leaves it to the runtime.
        images_per_s: of the fastest row by number of streams.
        streams: number of streams with the most images per second, 1 unless more are clearly better.
        machine: what it was measured on; see `measured_on`.
    """

    bundle: str
    default: str
    measured: str
    rows: tuple[Timing, ...]
    threads: int
    images_per_s: dict[int, float]
    streams: int
    machine: dict[str, Any]

    def fastest(self, runtime: str = "auto", variant: str = "auto") -> Timing | None:
        """The fastest row of a runtime and a variant, `auto` for any, or the default if it is hardly slower; None without any."""
        timed = [
            (row.median_ms, row)
            for row in self.rows
            if row.median_ms is not None and runtime in ("auto", row.runtime) and variant in ("auto", row.variant)
        ]
        if not timed:
            return None
        fastest_ms, fastest = min(timed, key=lambda pair: pair[0])
        return next((row for ms, row in timed if row.name == self.default and ms <= MARGIN * fastest_ms), fastest)

    def why(self, row: Timing) -> str:
        """Why a row of `fastest` runs, for people."""
        timed = {each.name: each.median_ms for each in self.rows if each.median_ms is not None}
        text = f"{row.name} is the fastest of {len(timed)} measured on this machine ({timed[row.name]:.1f} ms per image"
        if row.name == self.default:
            return f"{text}), and the bundle's default"
        default_ms = timed.get(self.default)
        about = f"the default, {self.default}, " + ("cannot run here" if default_ms is None else f"takes {default_ms:.1f} ms")
        return f"{text}; {about})"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back."""
        per_s = {str(streams): value for streams, value in self.images_per_s.items()}
        return {"format": FORMAT, **asdict(self), "rows": [asdict(row) for row in self.rows], "images_per_s": per_s}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tuning:
        """Read what `to_json` wrote; unknown fields are errors."""
        fields = {key: item for key, item in value.items() if key != "format"}
        rows = tuple(Timing(**row) for row in fields.pop("rows"))
        per_s = {int(streams): float(count) for streams, count in fields.pop("images_per_s").items()}
        return cls(rows=rows, images_per_s=per_s, **fields)


def measured_on() -> dict[str, Any]:
    """What times depend on: `core.machine.machine_facts`, a simulated processor, versions of the runtimes."""
    runtimes = {name: version_of(name) for name in RUNTIMES if installed(name)}
    return {**machine_facts(), "simulated": simulated_isa(), "runtimes": runtimes}


def tuning_path(bundle: Bundle) -> Path | None:
    """The file for this bundle and this machine, which may not exist; None where nothing is remembered."""
    folder = cache_folder()
    return None if folder is None else folder / FOLDER / _name(bundle)


def read_tuning(bundle: Bundle) -> tuple[Tuning | None, tuple[str, ...]]:
    """What is remembered of a bundle on this machine, if anything, and a note if it cannot be used."""
    folder = cache_folder()
    if folder is None or not any((folder / FOLDER).glob(f"{_prefix(bundle)}*")):  # asking for the versions takes longer
        return None, ()
    path = folder / FOLDER / _name(bundle)
    try:
        if not path.is_file():
            return None, ()
        found = read_json(path)
        tuning = Tuning.from_json(found) if found["format"] == FORMAT else None
        if tuning is None or tuning.bundle != bundle.id or not _fits(tuning, bundle):
            raise ValueError("it is of another bundle or version")
    except (ArtifactError, BundleError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        problem = " ".join(str(error).split())
        return None, (f"what was measured here is not used: {path} is damaged ({problem}); measure again with: lesionlens tune",)
    return tuning, ()


def write_tuning(bundle: Bundle, tuning: Tuning) -> Path | None:
    """Remember it, in place of what was measured before; the file, or None where nothing is remembered.

    Raises:
        StorageError: if the cache is not writable.
    """
    path = tuning_path(bundle)
    if path is not None:
        try:
            write_json(path, tuning.to_json())
        except (OSError, StorageError) as error:
            raise StorageError(
                f"what was measured cannot be kept in {path} ({error}); name another folder in {VARIABLE}, or off to keep nothing"
            ) from error
    return path


def _prefix(bundle: Bundle) -> str:
    return f"{bundle.id[:16]}-"


def _name(bundle: Bundle) -> str:
    return f"{_prefix(bundle)}{hash_value(measured_on())[:12]}.json"


def _fits(tuning: Tuning, bundle: Bundle) -> bool:
    """Whether its rows are of this bundle's graphs and its numbers are numbers; the file is not ours alone to write."""
    times = [row.median_ms for row in tuning.rows if row.median_ms is not None]
    numbers = [*times, tuning.threads, tuning.streams]
    known = all(row.variant in bundle.variants and row.runtime in bundle.variants[row.variant].graphs for row in tuning.rows)
    return known and all(isinstance(number, int | float) and 0 <= number < 1e7 for number in numbers) and tuning.streams >= 1
