"""The bundle on disk: a folder with everything that running a network needs, every file with its hash.

`bundle.json` describes it; `docs/bundle.md` is its reference. Reading one loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.bundle.engines import PRECISIONS
from lesionlens.bundle.outputs import Tolerance
from lesionlens.core import legacy
from lesionlens.core.artifact import hash_file, hash_value, read_json, storage_errors, write_json
from lesionlens.core.errors import ArtifactError, BundleError, DataError
from lesionlens.core.labels import LabelSet
from lesionlens.data.image import InputSpec

FORMAT = 1
FACTS_FILE, GRAPH_FILE, WEIGHTS_FILE, CARD_FILE, SELFTEST_FILE = (
    "bundle.json",
    "model.onnx",
    "weights.safetensors",
    "card.md",
    "selftest.npz",
)
RUNTIMES = ("openvino", "onnxruntime")
READERS = 4


@dataclass(frozen=True)
class Variant:
    """One form of the network: fp32, or a smaller and faster one.

    Attributes:
        name: `fp32`, `int8`, ...
        graphs: file to load, by the runtime that can run it.
        precision: number format of what is not quantised: `fp32`, `bf16` (OpenVINO only), or `bf16-or-fp32`:
            bf16 where runtime and processor have it. The tolerance holds for both.
        tolerance: how far its results may differ from the expected ones of the self-test.
        comparison: what was measured against torch when it was made.
        metrics: whatever else is known of it, for example accuracy and latency.
    """

    name: str
    graphs: dict[str, str]
    precision: str = "fp32"
    tolerance: Tolerance = field(default_factory=Tolerance)
    comparison: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.graphs) - set(RUNTIMES)
        if unknown or not self.graphs:
            raise BundleError(f"variant {self.name!r} is for {sorted(unknown) or 'no runtime'}; known are {', '.join(RUNTIMES)}")
        if self.precision not in PRECISIONS:
            raise BundleError(
                f"variant {self.name!r} has precision {self.precision!r}; it must be one of {', '.join(PRECISIONS)}"
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back."""
        plain = {name: value for name, value in vars(self).items() if name not in ("name", "tolerance")}
        return {**plain, "tolerance": self.tolerance.to_json()}

    @classmethod
    def from_json(cls, name: str, value: dict[str, Any]) -> Variant:
        """Read what `to_json` wrote; unknown fields are errors."""
        return cls(name, **{**value, "tolerance": Tolerance(**value["tolerance"])})


@dataclass(frozen=True)
class Bundle:
    """What `bundle.json` says.

    Attributes:
        path: the folder.
        id: SHA-256 of its content: equal ids are equal bundles.
        name: name of the recipe that trained it.
        labels: the diagnoses, in the order of the outputs.
        spec: how images are prepared.
        outputs: shape of each output behind the batch; None for maps where there are none.
        variants: by name.
        default_variant: the one to run unless another is asked for.
        files: `sha256` and `size_bytes` of each file, by name.
        facts: everything in `bundle.json`, also what is only for people.
    """

    path: Path
    id: str
    name: str
    labels: LabelSet
    spec: InputSpec
    outputs: dict[str, list[int] | None]
    variants: dict[str, Variant]
    default_variant: str
    files: dict[str, dict[str, Any]]
    facts: dict[str, Any]

    @property
    def has_maps(self) -> bool:
        """Whether its graphs give Grad-CAM maps."""
        return self.outputs["maps"] is not None

    @property
    def checkpoint_hash(self) -> str:
        """SHA-256 of the checkpoint that was exported."""
        return str(self.facts["origin"]["hashes"]["checkpoint"])

    def variant(self, name: str = "auto") -> Variant:
        """The variant called `name`; `auto` is the default one.

        Raises:
            BundleError: if there is none of that name.
        """
        name = self.default_variant if name == "auto" else name
        if name not in self.variants:
            raise BundleError(f"bundle {self.path} has no variant {name!r}; it has {', '.join(self.variants)}")
        return self.variants[name]

    def variant_size_bytes(self, name: str, runtime: str) -> int:
        """Bytes on disk of what one runtime loads for a variant, weights beside the graph included."""
        return sum(int(self.files[file]["size_bytes"]) for file in graph_files(self.variants[name].graphs[runtime], self.files))


def graph_files(graph: str, names: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that belong to a graph: itself, the weights of OpenVINO's format, external data of ONNX."""
    beside = (graph, Path(graph).with_suffix(".bin").name if graph.endswith(".xml") else f"{graph}.data")
    return tuple(name for name in beside if name in names)


def open_bundle(path: Path) -> Bundle:
    """Read a bundle and check that it is whole and unchanged: every file against its hash.

    Whether it computes what it should is checked by `selftest`, as soon as a runtime has loaded it.

    Raises:
        BundleError: if it is missing, of another version, a file is missing or changed, or its
            parts do not fit together.
    """
    bundle = read_bundle(path)
    with FileChecks(bundle) as checks:
        checks.wait()
    return bundle


class FileChecks:
    """Every file of a bundle against its hash, by threads of their own; something else may be done meanwhile.

    Args:
        bundle: as `read_bundle` gives it.
        first: names of files to check before the others.
    """

    def __init__(self, bundle: Bundle, first: Iterable[str] = ()) -> None:
        self._bundle = bundle
        self._pool = ThreadPoolExecutor(READERS)
        names = dict.fromkeys((*first, *bundle.files))
        self._found = {name: self._pool.submit(_problem, bundle.path / name, bundle.files[name]) for name in names}

    def __enter__(self) -> FileChecks:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wait(self, names: Iterable[str] = ()) -> None:
        """Wait for the checks of some files, of all unless they are named.

        Raises:
            BundleError: if one of these files is missing or changed.
        """
        for name in tuple(names) or self._found:
            problem = self._found[name].result()
            if problem:
                raise BundleError(f"bundle {self._bundle.path}: {problem}; copy the whole bundle again, or export it anew")


def is_bundle(path: Path) -> bool:
    """Whether a path is the folder of a bundle; without its facts it is a damaged one, not a folder of something else."""
    return any((path / name).is_file() for name in (FACTS_FILE, GRAPH_FILE))


def read_bundle(path: Path) -> Bundle:
    """Read `bundle.json` alone; for everything but looking use `open_bundle`.

    Raises:
        BundleError: if it is missing, damaged, changed, or of another version.
    """
    if not (path / FACTS_FILE).is_file():
        raise BundleError(f"{path} is not a bundle: it holds no {FACTS_FILE}; make one with: lesionlens export CHECKPOINT")
    try:
        facts = read_json(path / FACTS_FILE)
        _check_version(path, facts)
        if facts["id"] != _content_hash(facts):
            raise BundleError(f"bundle {path}: {FACTS_FILE} was changed after it was written; copy or export the bundle again")
        return _bundle(path, legacy.current(facts))
    except OSError as error:
        raise BundleError(f"bundle {path} cannot be read ({error.strerror}); check its permissions") from error
    except (ArtifactError, DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {path}: {FACTS_FILE} cannot be understood ({error}); export the bundle again") from error


def write_facts(folder: Path, facts: dict[str, Any]) -> str:
    """Write `bundle.json` for the files that lie in `folder`, hashing them all.

    Args:
        folder: being written; holds every other file of the bundle.
        facts: everything but `format`, `id` and `files`.

    Returns:
        The bundle's id.
    """
    found = sorted(path for path in folder.iterdir() if path.name != FACTS_FILE)
    files = {path.name: {"sha256": hash_file(path), "size_bytes": path.stat().st_size} for path in found}
    value = {**facts, "format": FORMAT, "files": files}
    value["id"] = _content_hash(value)
    first = ("format", "id", "name")
    write_json(folder / FACTS_FILE, {**{key: value[key] for key in first}, **value})
    return str(value["id"])


def check_replaceable(path: Path) -> None:
    """Refuse to replace a folder of anything but a bundle.

    Raises:
        BundleError: if `path` is a file, or a folder that holds something else.
    """
    with storage_errors(path):
        if path.is_file() or (path.is_dir() and not (path / FACTS_FILE).is_file() and any(path.iterdir())):
            raise BundleError(f"{path} exists and is not a bundle; it would be replaced. Choose another place with --out")


def _bundle(path: Path, facts: dict[str, Any]) -> Bundle:
    variants = {name: Variant.from_json(name, value) for name, value in facts["variants"].items()}
    bundle = Bundle(
        path=path,
        id=facts["id"],
        name=facts["name"],
        labels=LabelSet.from_json(facts["labels"]),
        spec=InputSpec.from_json(facts["input"]),
        outputs={name: facts["outputs"][name] for name in ("probabilities", "features", "maps")},
        variants=variants,
        default_variant=facts["default_variant"],
        files=facts["files"],
        facts=facts,
    )
    _check_names(bundle)
    return bundle


def _check_names(bundle: Bundle) -> None:
    listed = bundle.files.keys()
    strange = [name for name in listed if name in ("", ".", "..") or "/" in name or "\\" in name]
    if strange:
        raise BundleError(f"bundle {bundle.path} lists {strange[0]!r}; its files must lie in its own folder. Do not trust it")
    graphs = {file for variant in bundle.variants.values() for file in variant.graphs.values()}
    missing = sorted(({CARD_FILE, SELFTEST_FILE} | graphs) - listed)
    if missing:
        raise BundleError(f"bundle {bundle.path} does not list {missing[0]}, which it needs; export it again")
    if bundle.default_variant not in bundle.variants:
        raise BundleError(f"bundle {bundle.path} has no variant {bundle.default_variant!r}, its default; export it again")


def _check_version(path: Path, facts: Any) -> None:
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise BundleError(
            f"bundle {path} is of format {found!r}; this version of lesionlens reads format {FORMAT}. "
            "Export it again, or install the version that wrote it"
        )


def _problem(path: Path, facts: dict[str, Any]) -> str:
    if not path.is_file():
        return f"{path.name} is missing"
    try:
        size_bytes = path.stat().st_size
        if size_bytes != facts["size_bytes"]:
            return f"{path.name} has {size_bytes} bytes, not {facts['size_bytes']}"
        return "" if hash_file(path) == facts["sha256"] else f"the bytes of {path.name} have changed"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def _content_hash(facts: dict[str, Any]) -> str:
    return hash_value({key: value for key, value in facts.items() if key != "id"})
