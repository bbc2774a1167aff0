"""Variants of a bundle: the same network in other forms, each checked before it may join."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import FACTS_FILE, WEIGHTS_FILE, Bundle, Variant, check_replaceable, open_bundle, write_facts
from lesionlens.bundle.card_html import write_card
from lesionlens.bundle.engines import Limits, installed
from lesionlens.bundle.outputs import Outputs, Tolerance
from lesionlens.bundle.selftest import FLOAT, SelfTest, check_outputs, load_variant, read_selftest, run_batches, write_selftest
from lesionlens.core.artifact import atomic_folder
from lesionlens.core.errors import BundleError, RecipeError


@dataclass(frozen=True)
class NewVariant:
    """What `add_variant` puts into a bundle.

    Attributes:
        name: `int8`, `bf16`, ...; one that is there already is replaced.
        files: paths to copy in; may be empty if the graphs are there already (bf16 uses the file of fp32).
        graphs: name of the file to load, by runtime.
        precision: number format of what is not quantised.
        tolerance: of the self-test.
        comparison: measured against torch on real images; see `export.compare`.
        metrics: accuracy, latency and whatever else was measured.
        default: whether it becomes the variant that runs unless another is asked for; one that was and
            should not be any more gives way to fp32.
    """

    name: str
    files: Sequence[Path]
    graphs: Mapping[str, str]
    precision: str = "fp32"
    tolerance: Tolerance = field(default_factory=Tolerance)
    comparison: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    default: bool = False


def add_variant(path: Path, new: NewVariant) -> Bundle:
    """Put one more variant into a bundle; the bundle gets another id.

    The variant is run on the self-test's images by every runtime that is both installed and
    named. What the first of them gives is what the self-test expects from then on; the others
    must agree within the tolerance. The bundle is replaced only when all of this succeeded.

    Args:
        path: the bundle's folder.
        new: the variant and its files.

    Raises:
        BundleError: if the bundle is damaged, no named runtime is installed, a graph has the wrong
            inputs or outputs, or the runtimes do not agree.
        StorageError: if the disk is full or may not be written; the bundle stays as it was.
    """
    bundle = open_bundle(path)
    variant = Variant(new.name, dict(new.graphs), new.precision, new.tolerance, dict(new.comparison), dict(new.metrics))
    with atomic_folder(path, mark=FACTS_FILE) as folder:
        for name in bundle.files:
            shutil.copyfile(path / name, folder / name)
        for file in new.files:
            shutil.copyfile(file, folder / file.name)
        facts = _facts_to_write(bundle)
        facts["variants"] = {**facts["variants"], new.name: variant.to_json()}
        before = facts["default_variant"]
        facts["default_variant"] = new.name if new.default else "fp32" if before == new.name else before
        _remove_unused(folder, facts)
        _extend_selftest(bundle, variant, folder)
        write_card(folder, facts)
        write_facts(folder, facts)
    return open_bundle(path)


def keep_variants(path: Path, names: Sequence[str], out: Path) -> Bundle:
    """Copy a bundle with only some of its variants and without the checkpoint, for a small download.

    The self-test keeps the outputs of fp32 even without its graph, so that int8 can still be compared with them where it may
    saturate. The copy has an id of its own. Its default is the bundle's, or the first of `names` if that one is left out.

    Args:
        path: the bundle's folder.
        names: variants to keep, at least one.
        out: folder to write; a bundle in its place is replaced.

    Raises:
        BundleError: if the bundle is damaged, has no such variant, or `out` is something else than a bundle.
        RecipeError: if no variant is named.
        StorageError: if the disk is full or may not be written.

    Example:
        >>> keep_variants(Path("run/bundle"), ["int8"], Path("small"))  # doctest: +SKIP
    """
    if not names:
        raise RecipeError("no variant is named; name at least one to keep, for example int8")
    bundle = open_bundle(path)
    kept = {name: bundle.variant(name).to_json() for name in names}
    check_replaceable(out)
    with atomic_folder(out, mark=FACTS_FILE) as folder:
        for name in bundle.files.keys() - {WEIGHTS_FILE}:
            shutil.copyfile(path / name, folder / name)
        facts = _facts_to_write(bundle)
        facts["default_variant"] = bundle.default_variant if bundle.default_variant in kept else names[0]
        facts["variants"] = kept
        _remove_unused(folder, facts)
        selftest = read_selftest(bundle)
        expected = {name: outputs for name, outputs in selftest.expected.items() if name in kept or name == FLOAT}
        write_selftest(SelfTest(selftest.images, expected), folder)
        write_card(folder, facts)
        write_facts(folder, facts)
    return open_bundle(out)


def _facts_to_write(bundle: Bundle) -> dict[str, Any]:
    """The facts of a bundle without those that `write_facts` makes."""
    return {key: value for key, value in bundle.facts.items() if key not in ("format", "id", "files")}


def _remove_unused(folder: Path, facts: dict[str, Any]) -> None:
    """Take out graphs that a replaced variant leaves behind."""
    used = {name for variant in facts["variants"].values() for name in variant["graphs"].values()}
    for path in folder.iterdir():
        stem = path.name.removesuffix(".data")
        graph = path.with_suffix(".xml").name if path.suffix == ".bin" else stem
        if path.suffix in (".onnx", ".xml", ".bin", ".data") and graph not in used:
            path.unlink()


def _extend_selftest(bundle: Bundle, variant: Variant, folder: Path) -> None:
    selftest = read_selftest(bundle)
    runtimes = [runtime for runtime in variant.graphs if installed(runtime)]
    if not runtimes:
        raise BundleError(f"variant {variant.name!r} is for {', '.join(variant.graphs)}; install one of them to add it")
    here = Bundle(**{**vars(bundle), "path": folder})
    expected: Outputs | None = None
    for runtime in runtimes:
        found = run_batches(load_variant(here, variant, runtime, Limits()), selftest.images, 1)
        if expected is not None:
            check_outputs(bundle, variant, runtime, found, expected)
        expected = expected or found
    assert expected is not None
    write_selftest(SelfTest(selftest.images, {**selftest.expected, variant.name: expected}), folder)
