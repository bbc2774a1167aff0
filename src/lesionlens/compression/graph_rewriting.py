"""An ONNX graph that is rewritten: which node makes a tensor, which nodes read it, and what is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import atomic_file


class GraphRewriting:
    """A graph as it was read, and the constants that are added to it.

    Args:
        path: ONNX file.

    Attributes:
        graph: the nodes, outputs and stored tensors, of the `onnx` package.
        producers: the node that makes each tensor, by its name.
        consumers: the nodes that read each tensor.
        stored: stored tensors by name.
    """

    def __init__(self, path: Path) -> None:
        import onnx

        self._model = onnx.load(path)
        self.graph = self._model.graph
        self.producers = {name: node for node in self.graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                self.consumers[name].append(node)
        self.stored = {each.name: each for each in self.graph.initializer}
        self._constants: dict[str, np.ndarray] = {}

    def value(self, name: str) -> np.ndarray:
        """A stored tensor."""
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self.stored[name]))

    def add_constant(self, name: str, value: np.ndarray) -> str:
        """Store another tensor; its name."""
        self._constants[name] = value
        return name

    def write(self, nodes: Iterable[Any], out: Path) -> None:
        """Write the graph with these nodes, without stored tensors that none of them reads and without declared types.

        Raises:
            StorageError: if the disk is full or not writable.
        """
        import onnx
        from onnx import numpy_helper

        nodes = list(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [each for each in self.graph.initializer if each.name in used]
        del self.graph.node[:], self.graph.value_info[:], self.graph.initializer[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend([*kept, *(numpy_helper.from_array(value, name) for name, value in self._constants.items())])
        with atomic_file(out) as temporary:
            onnx.save(self._model, str(temporary))
