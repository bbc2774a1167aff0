"""Loaded forms of a network: each takes uint8 images and gives probabilities, whatever computes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.compression.quantize import dynamic_int8
from lesionlens.compression.variant_graphs import load_graph
from lesionlens.models.build import Normalise
from lesionlens.training.checkpoint import load_network

PYTORCH = "pytorch"
Probabilities = Callable[[np.ndarray], np.ndarray]


class TorchForm(nn.Module):
    """What PyTorch computes for an answer without heat maps.

    Args:
        network: a network of timm, perhaps quantised.
        normalise: of its pixels.
        temperature: the logits are divided by it.
    """

    def __init__(self, network: nn.Module, normalise: nn.Module, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.normalise, self.temperature = network, normalise, temperature

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, K) of prepared images, uint8 (N, S, S, 3)."""
        return torch.softmax(self.network(self.normalise(images.permute(0, 3, 1, 2))) / self.temperature, dim=1)


@dataclass(frozen=True)
class Form:
    """One variant as one runtime runs it: a row of the table.

    Attributes:
        variant: its name.
        runtime: `openvino`, `onnxruntime` or `pytorch`.
        file: graph to load, or the checkpoint if the runtime is PyTorch.
        size: side of its images, pixels.
        precision: number format of what is not quantised, for OpenVINO.
        dynamic: whether PyTorch quantises it dynamically, as in the paper.
        temperature: of the bundle, for PyTorch; graphs hold it.
        on_disk: the files to weigh; `file` and the weights beside it if empty.
    """

    variant: str
    runtime: str
    file: Path
    size: int
    precision: str = "fp32"
    dynamic: bool = False
    temperature: float = 1.0
    on_disk: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Unique among the forms of one table."""
        return f"{self.variant} on {self.runtime}"

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        beside = self.file.with_name(f"{self.file.name}.data")
        files = self.on_disk or (self.file, *([beside] if beside.is_file() else []))
        return sum(path.stat().st_size for path in files)

    @property
    def loader(self) -> Callable[..., Probabilities]:
        """The function that loads it, in this process or another."""
        return load_torch if self.runtime == PYTORCH else load_graph

    def arguments(self, threads: int, batch_size: int) -> tuple[str | int, ...]:
        """What `loader` takes, as text and numbers."""
        if self.runtime == PYTORCH:
            return (str(self.file), int(self.dynamic), repr(self.temperature), threads)
        return (self.runtime, str(self.file), self.size, self.precision, threads, batch_size)

    def load(self, threads: int = 0, batch_size: int = 1) -> Probabilities:
        """A function of uint8 images (N, S, S, 3), N at most `batch_size`, that gives probabilities (N, K).

        Raises:
            ModelError: if the file cannot be loaded here.
        """
        return self.loader(*self.arguments(threads, batch_size))


def load_torch(checkpoint: str, dynamic: int, temperature: str, threads: int) -> Probabilities:
    """Load a checkpoint into PyTorch, see `Form`; `threads` hold for the whole process."""
    if threads:
        torch.set_num_threads(threads)
    network, info = load_network(Path(checkpoint))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    normalise = Normalise(info.spec.mean, info.spec.std)
    form = TorchForm(dynamic_int8(network) if dynamic else network, normalise, float(temperature)).eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = form(torch.from_numpy(images)).numpy()
            return found

    return run
