"""The graph of a bundle, from uint8 images to calibrated probabilities, features and maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle.outputs import FEATURES, INPUT, MAPS, PROBABILITIES, Outputs
from lesionlens.core.errors import ModelError
from lesionlens.data.image import InputSpec
from lesionlens.explanation.cam import CamHead, find_head
from lesionlens.models.build import Normalise

OPSET = 20  # the first with GELU as one operator
LARGEST_FILE_BYTES = 1_900_000_000  # a protobuf is limited to 2 GiB; the weights of a larger network lie beside the graph


class GraphNetwork(nn.Module):
    """The whole computation from prepared pixels to the response, so that a caller adds nothing.

    Args:
        network: a network of timm, fine-tuned; shared, not copied, and put into evaluation mode.
        spec: size, mean and std of its images.
        temperature: the divisor of the logits.

    Raises:
        ModelError: if the temperature is not above 0.
    """

    def __init__(self, network: nn.Module, spec: InputSpec, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ModelError(f"temperature {temperature}; it must be above 0")
        self.network = network
        self.head: CamHead | None = find_head(network, spec.size)
        self.normalise = Normalise(spec.mean, spec.std)
        self.temperature = temperature
        self.size = spec.size
        self.eval()

    @property
    def has_maps(self) -> bool:
        """Whether Grad-CAM has a closed form for this network."""
        return self.head is not None

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return (PROBABILITIES, FEATURES, MAPS) if self.has_maps else (PROBABILITIES, FEATURES)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs for prepared images.

        Args:
            images: uint8 (N, S, S, 3).

        Returns:
            Probabilities (N, K), pooled features (N, C), and raw Grad-CAM maps of all classes
            (N, K, h, w) where they have a closed form.
        """
        stages: Any = self.network
        cells = stages.forward_features(self.normalise(images.permute(0, 3, 1, 2)))
        if self.head is not None:
            logits, features, maps = self.head(cells)
            return torch.softmax(logits / self.temperature, dim=1), features, maps
        features = stages.forward_head(cells, pre_logits=True)
        logits = stages.get_classifier()(features)
        return torch.softmax(logits / self.temperature, dim=1), features


@torch.no_grad()
def run_graph(
    graph: GraphNetwork, images: np.ndarray, batch_size: int = 8, progress: Callable[[int], None] | None = None
) -> Outputs:
    """Outputs of torch for prepared images, uint8 (N, S, S, 3), the reference for every export.

    Args:
        graph: in evaluation mode, on the CPU.
        images: a memory map is read batch by batch.
        batch_size: images in one pass.
        progress: called with the number of images of each batch.
    """
    batches: list[list[np.ndarray]] = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size]))
        batches.append([value.numpy() for value in graph(batch)])
        if progress is not None:
            progress(len(batch))
    joined = [np.concatenate(values) for values in zip(*batches, strict=True)]
    return Outputs(joined[0], joined[1], joined[2] if graph.has_maps else None)


def write_graph(graph: GraphNetwork, path: Path) -> None:
    """Write the network as ONNX for any batch size.

    Weights lie in the file itself, or in `<path>.data` beside it if they are more than 1.9 GB.

    Args:
        graph: the network.
        path: file to write.

    Raises:
        ModelError: if the exporter is not installed, or cannot express the network.
    """
    onnx = require_exporter()
    images = torch.zeros((2, graph.size, graph.size, 3), dtype=torch.uint8)
    weights_bytes = sum(value.nbytes for value in graph.state_dict().values())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's notes to its own developers
        try:
            program = torch.onnx.export(
                graph,
                (images,),
                input_names=[INPUT],
                output_names=list(graph.output_names),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            name = type(graph.network).__name__
            raise ModelError(f"{name} cannot be written as ONNX ({_first_line(error)}); choose another network") from error
    assert program is not None, "torch.onnx.export returns a program when dynamo is on"
    model = program.model_proto
    _strip(model)
    onnx.save(model, str(path), save_as_external_data=weights_bytes > LARGEST_FILE_BYTES, location=f"{path.name}.data")


def require_exporter() -> Any:
    """ONNX, after making sure that torch's exporter finds what it needs.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed; install the exporter with: pip install 'lesionlens[export]'") from error
    return onnx


def _strip(model: Any) -> None:
    """Remove the exporter's traces, the paths and source lines of the exporting machine, from every node."""
    for holder in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
