"""Bundles of random networks for timing, on the same synthetic images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lesionlens.bundle.bundle import Bundle, open_bundle
from lesionlens.bundle.engines import EITHER
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.compression.pointwise import has_blocks, pointwise_int8
from lesionlens.compression.prune import prune_structured
from lesionlens.compression.quantize import static_int8
from lesionlens.compression.variants import POINTWISE
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, input_spec, open_image
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split
from lesionlens.data.store import pack
from lesionlens.export.export import ExportSettings, export
from lesionlens.models.build import build_network
from lesionlens.synthetic.dataset import write_synthetic
from lesionlens.training.checkpoint import CheckpointInfo, save_network, versions

WIDTH, HEIGHT = 600, 450  # of HAM10000's photographs
PHOTO_NOISE, PHOTO_QUALITY = 10.0, 98  # about the file size of HAM10000's photographs
LOOSE = Tolerance(0.5, 1.0, 1.0)  # random weights put no image far from any other class
CHANNEL_PRUNED = "channel-pruned"


@dataclass(frozen=True)
class Workshop:
    """Makes bundles of random networks on the same images.

    Attributes:
        folder: keeps images, store and bundles.
        name: of the network in timm.
        size: side of its images, pixels.
        calibration: images that int8 is calibrated on.
        channels_removed: share of the channel-pruned network.
    """

    folder: Path
    name: str
    size: int
    calibration: int
    channels_removed: float

    def recipe(self, name: str) -> Recipe:
        """The recipe of a network without weights."""
        return recipe_from({"name": name, "input": {"size": self.size}, "model": {"name": name, "weights": "none"}})

    @property
    def spec(self) -> InputSpec:
        """How the images are prepared."""
        return input_spec(self.recipe(self.name).input)

    @cached_property
    def dataset(self) -> Dataset:
        """Synthetic images, their split and store."""
        images = self.folder / "images"
        if not images.is_dir():
            write_synthetic(images, n_images=max(60, self.calibration), seed=0, width=WIDTH, height=HEIGHT)
        index = read_source(images)
        return Dataset(index, make_split(index, self.recipe(self.name).split), pack(index, self.spec, self.folder / "store"))

    def photo(self) -> Path:
        """One photograph of the geometry and bytes of HAM10000's; drawn images alone are too smooth."""
        path = self.folder / "photo.jpg"
        if not path.is_file():
            record = self.dataset.index.records[0]
            pixels = np.asarray(open_image(self.dataset.index.image_path(record)), np.float64)
            noisy = pixels + np.random.default_rng(0).normal(0, PHOTO_NOISE, pixels.shape)
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=PHOTO_QUALITY)
        return path

    def bundle(self, name: str, bf16: bool = False, pointwise: bool = False) -> Bundle:
        """The bundle of a network with fp32 and int8, made if missing; with bf16, and int8-pointwise (ConvNeXt), on request."""
        folder = self.folder / name
        if (folder / "bundle" / "bundle.json").is_file():
            return open_bundle(folder / "bundle")
        self._save(name, folder / "best.safetensors")
        settings = ExportSettings(compared_images=4, selftest_images=4, batch_size=4)
        export(folder / "best.safetensors", self.dataset, folder / "bundle", settings=settings)
        pixels = self.dataset.store.images[: self.calibration]
        is_smaller = name != self.name  # quantised for OpenVINO alone, as `lesionlens compress` does with smaller networks
        quantise = pointwise_int8 if is_smaller and has_blocks(folder / "bundle" / "model.onnx") else static_int8
        quantise(folder / "bundle" / "model.onnx", np.ascontiguousarray(pixels), folder / "model.int8.onnx")
        graphs = dict.fromkeys(("openvino",) if is_smaller else ("openvino", "onnxruntime"), "model.int8.onnx")
        int8 = NewVariant("int8", [folder / "model.int8.onnx"], graphs, EITHER, LOOSE, default=True)
        bundle = add_variant(folder / "bundle", int8)
        if bf16:
            variant = NewVariant("bf16", [], {"openvino": "model.onnx"}, precision="bf16", tolerance=LOOSE)
            bundle = add_variant(folder / "bundle", variant)
        return self._with_pointwise(folder, pixels) if pointwise else bundle

    def _with_pointwise(self, folder: Path, pixels: np.ndarray) -> Bundle:
        """Add int8-pointwise, with a loss of 0: random weights have no accuracy to lose, and this is about time."""
        graph = folder / "model.int8-pointwise.onnx"
        pointwise_int8(folder / "bundle" / "model.onnx", np.ascontiguousarray(pixels), graph)
        facts = {"validation_balanced_accuracy": {"fp32": 0.0, POINTWISE: 0.0}}
        return add_variant(
            folder / "bundle", NewVariant(POINTWISE, [graph], {"openvino": graph.name}, EITHER, LOOSE, metrics=facts)
        )

    def _save(self, name: str, path: Path) -> None:
        recipe = self.recipe(self.name if name == CHANNEL_PRUNED else name)
        index, split = self.dataset.index, self.dataset.split
        torch.manual_seed(0)
        network = build_network(recipe.model, len(index.labels), self.size)
        if name == CHANNEL_PRUNED:
            network = prune_structured(network, self.size, self.channels_removed)
        facts = (split.hash, "none", index.hash, split.protocol, split.leaks)
        info = CheckpointInfo(index.labels, self.spec, recipe, *facts, versions=versions())
        save_network(network, replace(info, channel_pruned=name == CHANNEL_PRUNED), path)
