"""Load graphs without torch, so that their memory is that of a deployed machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lesionlens.bundle.engines import Limits, load_engine


def load_graph(
    runtime: str, file: str, size: int, precision: str, threads: int, batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Load a graph.

    Args:
        runtime: `openvino` or `onnxruntime`.
        file: path of the graph.
        size: side of its images, pixels.
        precision: number format of the layers that are not quantised.
        threads: of computation; 0 leaves the number to the runtime.
        batch_size: most images in one call.

    Returns:
        A function from uint8 images (N, S, S, 3) to probabilities (N, K); it computes the heat maps as well.

    Raises:
        BundleError: if the graph cannot be loaded here.
    """
    engine = load_engine(runtime, Path(file), size, precision, Limits(threads, batch_size))
    return lambda images: engine.run(images).probabilities
