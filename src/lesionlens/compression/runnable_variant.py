"""A variant together with the runtime that runs it: from uint8 images to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle.engines import version_of
from lesionlens.compression.quantize import dynamic_int8
from lesionlens.compression.variant_graphs import load_graph
from lesionlens.models.build import Normalise
from lesionlens.training.checkpoint import load_network

PYTORCH = "pytorch"
Classifier = Callable[[np.ndarray], np.ndarray]
"""A function from uint8 images (N, S, S, 3) to probabilities (N, K)."""


class TorchClassifier(nn.Module):
    """A network in PyTorch that gives probabilities without heat maps.

    Args:
        network: a network of timm, perhaps quantised.
        normalise: the normalisation of its pixels.
        temperature: the divisor of the logits.
    """

    def __init__(self, network: nn.Module, normalise: nn.Module, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.normalise, self.temperature = network, normalise, temperature

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, K) of prepared images, uint8 (N, S, S, 3)."""
        return torch.softmax(self.network(self.normalise(images.permute(0, 3, 1, 2))) / self.temperature, dim=1)


@dataclass(frozen=True)
class RunnableVariant:
    """One variant on one runtime: a row of the table.

    Attributes:
        variant: name of the variant.
        runtime: `openvino`, `onnxruntime` or `pytorch`.
        file: the graph, or the checkpoint if the runtime is PyTorch.
        size: side of its images, pixels.
        precision: number format of the layers that are not quantised, for OpenVINO.
        dynamic: whether PyTorch quantises the network dynamically, as in the paper.
        temperature: the bundle's temperature, for PyTorch; graphs contain it.
        stored_files: the files that make up its size; `file` and the weights beside it if empty.
    """

    variant: str
    runtime: str
    file: Path
    size: int
    precision: str = "fp32"
    dynamic: bool = False
    temperature: float = 1.0
    stored_files: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Variant and runtime; unique in one table."""
        return f"{self.variant} on {self.runtime}"

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        weights = self.file.with_name(f"{self.file.name}.data")
        files = self.stored_files or (self.file, *([weights] if weights.is_file() else []))
        return sum(path.stat().st_size for path in files)

    @property
    def runtime_version(self) -> str:
        """Version of the package that computes its predictions."""
        return version_of("torch" if self.runtime == PYTORCH else self.runtime)

    @property
    def loader(self) -> Callable[..., Classifier]:
        """The function that loads it, in this process or another."""
        return load_torch if self.runtime == PYTORCH else load_graph

    def arguments(self, threads: int, batch_size: int) -> tuple[str | int, ...]:
        """Arguments of `loader`, as text and numbers."""
        if self.runtime == PYTORCH:
            return (str(self.file), int(self.dynamic), repr(self.temperature), threads)
        return (self.runtime, str(self.file), self.size, self.precision, threads, batch_size)

    def load(self, threads: int = 0, batch_size: int = 1) -> Classifier:
        """Load a function from uint8 images (N, S, S, 3), N at most `batch_size`, to probabilities (N, K).

        Raises:
            ModelError: if the file cannot be loaded here.
        """
        return self.loader(*self.arguments(threads, batch_size))


def load_torch(checkpoint: str, dynamic: int, temperature: str, threads: int) -> Classifier:
    """Load a checkpoint into PyTorch, see `RunnableVariant`; `threads` applies to the whole process."""
    if threads:
        torch.set_num_threads(threads)
    network, info = load_network(Path(checkpoint))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    normalise = Normalise(info.spec.mean, info.spec.std)
    classifier = TorchClassifier(dynamic_int8(network) if dynamic else network, normalise, float(temperature)).eval()

    def classify(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(classifier(torch.from_numpy(images)).numpy())

    return classify
