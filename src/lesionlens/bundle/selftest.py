"""The self-test that travels in a bundle: a few prepared images and what the network must say of them."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.bundle import SELFTEST_FILE, Bundle, Variant, graph_files
from lesionlens.bundle.engines import Engine, Limits, Port, load_engine
from lesionlens.bundle.outputs import INPUT, MAPS, Outputs, differences, join, summary
from lesionlens.core.errors import BundleError

ON_OPENING = 2  # images checked whenever a bundle is opened; `inspect` checks all of them
SATURATION = 0.05  # most that int8 may move further from fp32 here than where it was made; a probability
IMAGES_KEY = "images"
FLOAT = "fp32"  # what int8 is compared with; its outputs stay in the self-test where its graph is left out


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Content of selftest.npz.

    Attributes:
        images: prepared, uint8 (N, S, S, 3).
        expected: results by variant; those of fp32 also where the bundle holds no fp32.
    """

    images: np.ndarray
    expected: dict[str, Outputs]


def write_selftest(selftest: SelfTest, folder: Path) -> None:
    """Write selftest.npz into a bundle that is being made."""
    arrays: dict[str, Any] = {IMAGES_KEY: selftest.images}
    for variant, outputs in selftest.expected.items():
        arrays |= {f"{variant}/{name}": value for name, value in outputs._asdict().items() if value is not None}
    with (folder / SELFTEST_FILE).open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_selftest(bundle: Bundle) -> SelfTest:
    """Read selftest.npz; nothing in the file is ever executed.

    Raises:
        BundleError: if it is damaged or does not fit the bundle.
    """
    path = bundle.path / SELFTEST_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        images = arrays.pop(IMAGES_KEY)
        names = dict.fromkeys((*bundle.variants, *([FLOAT] if f"{FLOAT}/probabilities" in arrays else [])))
        expected = {name: _expected(arrays, name) for name in names}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path} cannot be read ({error}); copy or export the bundle again") from error
    side = bundle.spec.size
    if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3) or not len(images):
        raise BundleError(f"{path} holds {images.dtype} {images.shape}, not images of {side}x{side}; export the bundle again")
    return SelfTest(images, expected)


def load_variant(bundle: Bundle, variant: Variant, runtime: str, limits: Limits, keep: bool = False) -> Engine:
    """Load one variant of a bundle, and check that its graph takes and gives what the bundle says.

    Args:
        bundle: an open bundle.
        variant: one of its variants.
        runtime: to load it with.
        limits: threads and batch size.
        keep: whether the compiled graph may come from the user's cache and go there; only if the graph's files
            were just checked against their hashes.

    Raises:
        BundleError: if the runtime cannot load it, or its inputs or outputs are others.
    """
    if runtime not in variant.graphs:
        raise BundleError(
            f"variant {variant.name!r} of bundle {bundle.path} is for {' and '.join(variant.graphs)}, not for {runtime}; "
            "choose another --runtime or --variant"
        )
    graph = bundle.path / variant.graphs[runtime]
    content = "".join(bundle.files[name]["sha256"] for name in graph_files(graph.name, bundle.files)) if keep else ""
    engine = load_engine(runtime, graph, bundle.spec.size, variant.precision, limits, content)
    check_ports(engine, bundle, graph)
    return engine


def check_ports(engine: Engine, bundle: Bundle, graph: Path) -> None:
    """Refuse a graph whose inputs or outputs are not those of the bundle.

    Raises:
        BundleError: naming the first that is wrong.
    """
    side = bundle.spec.size
    shapes = {name: Port("float32", (None, *shape)) for name, shape in bundle.outputs.items() if shape is not None}
    for what, found, wanted in (
        ("inputs", engine.inputs, {INPUT: Port("uint8", (None, side, side, 3))}),
        ("outputs", engine.outputs, shapes),
    ):
        if found.keys() != wanted.keys() or any(not _fits(found[name], wanted[name]) for name in wanted):
            raise BundleError(f"{graph} has the {what} {_ports(found)}; this bundle needs {_ports(wanted)}. Export it again")


def run_selftest(
    bundle: Bundle, variant: Variant, runtime: str, engine: Engine, limits: Limits, n_images: int = ON_OPENING
) -> str:
    """Run some images of the self-test and compare with what is expected.

    Args:
        bundle: an open bundle.
        variant: which of its variants `engine` has loaded.
        runtime: that runs it.
        engine: the loaded variant.
        limits: that it was loaded with.
        n_images: how many; 0 means all.

    Returns:
        The largest differences, for people.

    Raises:
        BundleError: if a difference is beyond the variant's tolerance.
    """
    selftest = read_selftest(bundle)
    n_images = min(n_images or len(selftest.images), len(selftest.images))
    found = run_batches(engine, selftest.images[:n_images], limits.batch_size)
    return check_outputs(bundle, variant, runtime, found, selftest.expected[variant.name].rows(0, n_images))


def check_outputs(bundle: Bundle, variant: Variant, runtime: str, found: Outputs, wanted: Outputs) -> str:
    """Compare results with the expected ones.

    Returns:
        The largest differences, for people.

    Raises:
        BundleError: if one is beyond the variant's tolerance.
    """
    measured = differences(found, wanted)
    broken = variant.tolerance.broken_by(measured)
    if broken:
        raise BundleError(
            f"bundle {bundle.path}: variant {variant.name!r} fails its self-test on {runtime}: differences {summary(broken)}, "
            f"allowed {summary(variant.tolerance.to_json())}. Do not use it here; try another --runtime or --variant"
        )
    return summary(measured)


def check_saturation(bundle: Bundle, variant: Variant, runtime: str, engine: Engine, limits: Limits) -> str:
    """Compare an int8 variant with fp32 on all images of the self-test, for a processor without VNNI.

    There, runtimes add pairs of 8-bit products in 16 bits, which saturate when activations and weights are large.
    The self-test's own tolerance covers the rounding of int8 and is too wide to notice it.

    Returns:
        The largest difference between the probabilities of int8 and fp32, for people; empty where the self-test has no fp32.

    Raises:
        BundleError: if it exceeds the one recorded where int8 was made by more than `SATURATION`, or is NaN.
    """
    selftest = read_selftest(bundle)
    if FLOAT not in selftest.expected:
        return ""
    reference = selftest.expected[FLOAT].probabilities
    found = run_batches(engine, selftest.images, limits.batch_size).probabilities
    here, recorded = (float(np.abs(each - reference).max()) for each in (found, selftest.expected[variant.name].probabilities))
    about = f"on {len(reference)} images its probabilities differ from fp32 by up to {here:.3f}, {recorded:.3f} where it was made"
    if not here <= recorded + SATURATION:
        remedy = f"Use --variant {FLOAT} on this machine" if FLOAT in bundle.variants else f"Use a bundle that holds {FLOAT}"
        raise BundleError(
            f"bundle {bundle.path}: variant {variant.name!r} saturates on {runtime}, because this processor has no int8 products "
            f"(VNNI): {about}; allowed is {SATURATION} more. {remedy}"
        )
    return about


def run_batches(engine: Engine, images: np.ndarray, batch_size: int) -> Outputs:
    """Results for any number of images, at least one, in batches."""
    starts = range(0, len(images), batch_size)
    return join([engine.run(np.ascontiguousarray(images[start : start + batch_size])) for start in starts])


def _expected(arrays: dict[str, np.ndarray], variant: str) -> Outputs:
    return Outputs(arrays[f"{variant}/probabilities"], arrays[f"{variant}/features"], arrays.get(f"{variant}/{MAPS}"))


def _fits(found: Port, wanted: Port) -> bool:
    sides = zip(found.shape, wanted.shape, strict=False)
    return (
        found.kind == wanted.kind
        and len(found.shape) == len(wanted.shape)
        and all(one is None or other is None or one == other for one, other in sides)
    )


def _ports(ports: Any) -> str:
    texts = (f"{name} {port.kind} ({', '.join(str(side or 'N') for side in port.shape)})" for name, port in ports.items())
    return ", ".join(texts) or "none"
