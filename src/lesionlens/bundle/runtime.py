"""Run a bundle: images in, predictions with heat maps out. No torch is loaded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from lesionlens.bundle.bundle import RUNTIMES, FileChecks, graph_files, read_bundle
from lesionlens.bundle.concepts import ConceptReader
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.engines import Limits, fast_int8, import_runtime
from lesionlens.bundle.gate import Gate
from lesionlens.bundle.metadata import MetadataFusion
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.passed_checks import CheckMemory, PassedChecks
from lesionlens.bundle.prediction import BundleVariant, Failure, ImageInfo, Prediction
from lesionlens.bundle.selection import choose, select
from lesionlens.bundle.selftest import FLOAT, check_saturation, load_variant, run_selftest
from lesionlens.core.errors import BundleError, DataError, ImageError, RecipeError
from lesionlens.core.metadata import Metadata
from lesionlens.data.image import InputSpec, centre_crop, decode_image, prepare
from lesionlens.data.pillow_memory import reuse_memory

Source = str | Path | bytes
MetadataOf = Callable[[Source], Metadata]
NOTHING_KNOWN = Metadata()


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image as the network takes it.

    Attributes:
        source: path of the image; empty for bytes.
        pixels: uint8 (S, S, 3), contiguous.
        image_size: width and height of the upright original, pixels.
        timings_ms: milliseconds by step: `decode`, `resize`.
        frames: number of pictures in the file.
        notes: what decoding converted, assumed or left out; see `DecodedImage`.
        frame: which of the pictures this is, from 0.
        metadata: what is known of the patient.
        pixel_spacing_mm: between rows and between columns; see `DecodedImage`.
    """

    source: str
    pixels: np.ndarray
    image_size: tuple[int, int]
    timings_ms: dict[str, float]
    frames: int = 1
    notes: tuple[str, ...] = ()
    frame: int = 0
    metadata: Metadata = NOTHING_KNOWN
    pixel_spacing_mm: tuple[float, float] | None = None


class Predictor:
    """A bundle, opened, checked and loaded.

    Args:
        path: the bundle's folder.
        runtime: `openvino`, `onnxruntime`, or `auto`: the fastest, if `lesionlens tune` measured it on this
            machine; else OpenVINO where it is installed and the variant has a graph for it, else ONNX Runtime.
        variant: its name, or `auto`: the fastest, if that was measured; else the bundle's default; if that
            cannot be run here, fp32.
        threads: of computation; 0 takes what was measured, or leaves it to the runtime.
        batch_size: most images in one pass.
        workers: threads that read and decode ahead. Memory holds at most workers decoded images
            and 2 * batch_size + workers prepared ones.
        streams: passes at one time, if as many threads call `predict_prepared` or `run`; see `Limits`. 0 takes the
            number with the most images per second, if that was measured, else 1.
        selftest: `always` runs the self-test; `once` trusts one that passed on this machine before, with the same
            bundle, variant, limits, processor and versions. The files are compared with their hashes in both cases.

    Attributes:
        why: why this variant and this runtime are run, one sentence.

    Raises:
        BundleError: if the bundle is damaged, cannot be run here, or fails its self-test.
        RecipeError: if an argument is out of range.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        runtime: str = "auto",
        variant: str = "auto",
        threads: int = 0,
        batch_size: int = 1,
        workers: int = 1,
        streams: int = 1,
        selftest: Literal["always", "once"] = "always",
    ) -> None:
        if runtime not in ("auto", *RUNTIMES):
            raise RecipeError(f"runtime {runtime!r}; it must be auto, {' or '.join(RUNTIMES)}")
        for name, value, least in (
            ("threads", threads, 0),
            ("batch size", batch_size, 1),
            ("workers", workers, 1),
            ("streams", streams, 0),
        ):
            if not least <= value <= 4096:
                raise RecipeError(f"{name} = {value}; it must be from {least} to 4096")
        reuse_memory()
        self.bundle = read_bundle(Path(path))
        selection = select(self.bundle, runtime, variant)
        self.variant, self.runtime, self.why, self.notes = selection[:4]
        may_replace = variant == "auto"
        self.workers = workers
        self.limits = Limits(threads or selection.threads, batch_size, streams or selection.streams)
        graphs = graph_files(self.variant.graphs[self.runtime], self.bundle.files)
        with FileChecks(self.bundle, first=graphs) as checks:
            import_runtime(self.runtime)
            checks.wait(graphs)
            self._engine = load_variant(self.bundle, self.variant, self.runtime, self.limits, True)
            self.notes += self._engine.notes
            checks.wait()  # the rest was hashed while the graph was compiled
        self.gate = Gate.from_bundle(self.bundle)
        self.decision = Decision.from_bundle(self.bundle)
        self.metadata = MetadataFusion.from_bundle(self.bundle)
        self.concepts = ConceptReader.from_bundle(self.bundle)
        self._check(selftest == "once", runtime, may_replace)

    def _check(self, once: bool, runtime: str, may_replace: bool) -> None:
        """Run the self-test, unless it passed on this machine before and that is enough."""
        memory, chosen = CheckMemory(self.bundle, self.variant, self.runtime, self.limits), self.variant
        passed = memory.read() if once else None
        if passed is None:
            saturation = self._check_int8(runtime, may_replace)
            self.selftest = run_selftest(self.bundle, self.variant, self.runtime, self._engine, self.limits)
            if self.variant is chosen:
                self.notes += memory.write(PassedChecks(self.selftest, saturation))
            return
        self.selftest = f"{passed.selftest}, on this machine on {passed.day}"
        self.notes += (f"{passed.saturation}, on {passed.day}",) if passed.saturation else ()

    def _check_int8(self, runtime: str, may_replace: bool) -> str:
        """Compare int8 with fp32 where it may saturate; a default that does gives way to fp32, with a note.

        Returns:
            What was compared, for people; empty where nothing was, or where fp32 runs instead.

        Raises:
            BundleError: if a variant that was requested by name saturates, or one in a bundle without fp32.
        """
        if "int8" not in self.variant.name or fast_int8() is not False:
            return ""
        try:
            about = check_saturation(self.bundle, self.variant, self.runtime, self._engine, self.limits)
        except BundleError as error:
            if not may_replace or FLOAT not in self.bundle.variants:
                raise
            self.notes = (*self.notes, f"{error}; running fp32 instead")
            self.why = f"in place of {self.variant.name}, which saturates on this processor"
            self.variant, self.runtime, _ = choose(self.bundle, runtime, "fp32")
            self._engine = load_variant(self.bundle, self.variant, self.runtime, self.limits)
            return ""
        text = f"variant {self.variant.name!r} was compared with fp32: {about}" if about else ""
        self.notes += (text,) if text else ()
        return text

    @property
    def bundle_variant(self) -> BundleVariant:
        """The bundle and variant that are run."""
        return BundleVariant(self.bundle.id, self.bundle.name, self.variant.name)

    def predict(self, sources: Iterable[Source], metadata: MetadataOf | None = None) -> Iterator[Prediction]:
        """Predict images one after the other, in their order.

        Args:
            sources: paths or file contents; taken only as fast as they are worked off.
            metadata: what is known of the patient of a source, for a bundle that takes it; by default nothing.

        Raises:
            DataError: if the bundle does not take what is known.
            ImageError: at the first image that cannot be used; see `attempt` to go on.
        """
        for result in self.attempt(sources, metadata):
            if isinstance(result, Failure):
                raise result.error
            yield result

    def attempt(self, sources: Iterable[Source], metadata: MetadataOf | None = None) -> Iterator[Prediction | Failure]:
        """Predict images in their order; one that cannot be used gives a Failure and the rest goes on.

        Args:
            sources: paths or file contents; taken only as fast as they are worked off.
            metadata: as in `predict`.

        Raises:
            DataError: if the bundle does not take what is known.
        """
        waiting: list[Prepared | Failure] = []
        n_images = 0
        for item in self._prepared(sources, metadata or (lambda source: NOTHING_KNOWN)):
            waiting.append(item)
            n_images += isinstance(item, Prepared)
            if n_images == self.limits.batch_size or not n_images:
                yield from self._results(waiting)
                waiting, n_images = [], 0
        yield from self._results(waiting)

    def predict_prepared(self, images: Sequence[Prepared]) -> list[Prediction]:
        """Predict images that are already decoded and scaled, in one pass.

        Args:
            images: at most the batch size of them, prepared with the bundle's InputSpec.

        Raises:
            DataError: if the bundle does not take what is known of a patient.
        """
        for image in images:
            self.check_metadata(image.metadata)
        return [result for result in self._results(list(images)) if isinstance(result, Prediction)]

    def check_metadata(self, metadata: Metadata) -> None:
        """Refuse what is known of a patient if the bundle does not take it.

        Raises:
            DataError: naming it.
        """
        if self.metadata is not None:
            self.metadata.check(metadata)
        elif given := ", ".join(metadata.to_json()):
            raise DataError(f"{given} cannot be used: this bundle was trained on images only; leave it out")

    def run(self, images: np.ndarray) -> Outputs:
        """Results for prepared images, uint8 (N, S, S, 3) with N at most the batch size."""
        return self._engine.run(images)

    def _results(self, items: Sequence[Prepared | Failure]) -> Iterator[Prediction | Failure]:
        images = [item.pixels for item in items if isinstance(item, Prepared)]
        started = time.perf_counter()
        outputs = self._engine.run(np.stack(images)) if images else None
        network_ms = 1000 * (time.perf_counter() - started) / max(1, len(images))
        row = 0
        for item in items:
            if isinstance(item, Failure):
                yield item
                continue
            assert outputs is not None
            yield self._prediction(item, outputs, row, network_ms)
            row += 1

    def _prediction(self, item: Prepared, outputs: Outputs, row: int, network_ms: float) -> Prediction:
        probabilities = outputs.probabilities[row]
        if not np.isfinite(probabilities).all():
            raise BundleError(
                f"bundle {self.bundle.path} gives NaN for {item.source or 'an image'}; do not use it on this machine"
            )
        if self.metadata is not None:
            probabilities = self.metadata.apply(probabilities, item.metadata)
        return Prediction(
            source=item.source,
            image=ImageInfo(*item.image_size, item.frames, item.frame, item.pixel_spacing_mm),
            labels=self.bundle.labels,
            probabilities=probabilities,
            features=outputs.features[row],
            maps=None if outputs.maps is None else outputs.maps[row],
            spec=self.bundle.spec,
            timings_ms={**item.timings_ms, "network": network_ms},
            bundle=self.bundle_variant,
            gate_result=None if self.gate is None else self.gate.check(item.image_size, item.pixels, outputs.features[row]),
            decision=self.decision,
            notes=item.notes,
            metadata=None if self.metadata is None else self.metadata.used(item.metadata),
            concepts=() if self.concepts is None else self.concepts.read(outputs.features[row], int(probabilities.argmax())),
        )

    def _prepared(self, sources: Iterable[Source], metadata: MetadataOf) -> Iterator[Prepared | Failure]:
        """Images decoded and scaled ahead of the network, in order, few at a time."""
        Image.preinit()  # Pillow registers its readers on first use, which threads would race for
        left = iter(sources)
        pool = ThreadPoolExecutor(self.workers)

        def submit(source: Source) -> Future[Prepared | Failure]:
            known = metadata(source)
            self.check_metadata(known)
            return pool.submit(_prepare, source, self.bundle.spec, known)

        try:
            queue = deque(submit(source) for source in islice(left, self.workers + self.limits.batch_size))
            while queue:
                yield queue.popleft().result()
                queue.extend(submit(source) for source in islice(left, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _prepare(source: Source, spec: InputSpec, metadata: Metadata = NOTHING_KNOWN) -> Prepared | Failure:
    source = Path(source) if isinstance(source, str) else source
    name = str(source) if isinstance(source, Path) else ""
    started = time.perf_counter()
    try:
        image = decode_image(source)
    except ImageError as error:
        return Failure(name, error)
    decoded = time.perf_counter()
    pixels = np.ascontiguousarray(centre_crop(prepare(image.image, spec), spec.size))
    timings_ms = {"decode": 1000 * (decoded - started), "resize": 1000 * (time.perf_counter() - decoded)}
    facts = (name, pixels, image.image.size, timings_ms, image.frames, image.notes)
    return Prepared(*facts, metadata=metadata, pixel_spacing_mm=image.pixel_spacing_mm)
