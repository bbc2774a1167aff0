"""LayerNorm over the channels of (N, C, H, W): the same numbers, without the two transposes and reorders around each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.compression.graph_rewriting import GraphRewriting

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]
QUANTISATION = ("QuantizeLinear", "DequantizeLinear")


def normalise_over_channels(graph: Path, out: Path) -> int:
    """Write a graph whose LayerNorms between two transposes are computed where they are, over axis 1 of (N, C, H, W).

    OpenVINO keeps the channels of each pixel together in memory whatever the order of the axes, and yet copies at each such
    transpose, in float and in int8. Without them a ConvNeXt stays in one layout from stem to head. A LayerNorm becomes
    a mean, a difference, its length (ReduceL2), and a scale and shift by channel; nodes that quantise its result may stand
    between it and the second transpose, because their scale is one for the tensor. Every other LayerNorm stays as it is.

    It is written after the graph has been quantised: NNCF knows LayerNorm, and leaves the layers behind these nodes in float.

    Args:
        graph: ONNX file; quantised (QDQ) or not.
        out: ONNX file to write; may be the same.

    Returns:
        How many LayerNorms were rewritten.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    rewriting = _Rewriting(graph)
    for node in rewriting.graph.node:
        if node.op_type == "LayerNormalization":
            rewriting.rewrite(node)
    rewriting.write(rewriting.nodes(), out)
    return len(rewriting.replaced)


class _Rewriting(GraphRewriting):
    """A graph in which LayerNorms are replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.outputs = {each.name for each in self.graph.output}
        self.replaced: dict[str, list[Any]] = {}  # the nodes in place of a LayerNorm, by the name of its output
        self.dropped: set[str] = set()  # outputs of transposes that are not needed any more

    def rewrite(self, norm: Any) -> None:
        """Replace one LayerNorm if it stands between two transposes."""
        before = self.producers.get(norm.input[0])
        behind = self._transposes_behind(norm)
        if before is None or not _is_transpose(before, TO_NHWC) or not behind:
            return
        self.replaced[norm.output[0]] = self._nodes(norm, before.input[0])
        self.dropped |= {transpose.output[0] for transpose in behind}
        if self.consumers[before.output[0]] == [norm] and before.output[0] not in self.outputs:
            self.dropped.add(before.output[0])
        for transpose in behind:
            for consumer in self.consumers[transpose.output[0]]:
                names = [transpose.input[0] if name == transpose.output[0] else name for name in consumer.input]
                consumer.input[:] = names

    def _transposes_behind(self, node: Any) -> list[Any]:
        """The transposes to (N, C, H, W) that read a node, through quantisation; none if anything else reads it too."""
        found: list[Any] = []
        for consumer in self.consumers[node.output[0]]:
            if consumer.op_type in QUANTISATION:
                behind = self._transposes_behind(consumer)
            else:
                behind = [consumer] if _is_transpose(consumer, TO_NCHW) and consumer.output[0] not in self.outputs else []
            if not behind:
                return []
            found += behind
        return [] if node.output[0] in self.outputs else found

    def _nodes(self, norm: Any, source: str) -> list[Any]:
        """The nodes of one LayerNorm over the channels."""
        from onnx import helper

        name, made = norm.output[0], []
        scale, *shift = (self.value(each).reshape(1, -1, 1, 1) for each in norm.input[1:] if each)
        epsilon = next((each.f for each in norm.attribute if each.name == "epsilon"), 1e-5)
        axis = self.add_constant(f"{name}_axis", np.array([1], np.int64))

        def add(kind: str, step: str, *inputs: str, out: str = "", **attributes: Any) -> str:
            made.append(helper.make_node(kind, inputs, [out or f"{name}_{step}"], name=f"{name}_{step}", **attributes))
            return str(made[-1].output[0])

        difference = add("Sub", "difference", source, add("ReduceMean", "mean", source, axis, keepdims=1))
        length = add("ReduceL2", "length", difference, axis, keepdims=1)
        share = self.add_constant(f"{name}_share", np.array(1 / scale.size, np.float32))
        variance = add("Mul", "variance", add("Mul", "square", length, length), share)
        positive = add("Add", "positive", variance, self.add_constant(f"{name}_epsilon", np.array(epsilon, np.float32)))
        factor = add("Reciprocal", "factor", add("Sqrt", "deviation", positive))
        normalised = add("Mul", "normalised", difference, factor)
        scaled = add("Mul", "scaled", normalised, self.add_constant(f"{name}_scale", scale), out="" if shift else name)
        if shift:
            add("Add", "shifted", scaled, self.add_constant(f"{name}_shift", shift[0]), out=name)
        return made

    def nodes(self) -> list[Any]:
        """The nodes of the graph, with the new ones in the places of the old."""
        nodes: list[Any] = []
        for node in self.graph.node:
            nodes += self.replaced.get(node.output[0], [] if node.output[0] in self.dropped else [node])
        return nodes


def _is_transpose(node: Any, order: list[int]) -> bool:
    return node.op_type == "Transpose" and list(node.attribute[0].ints) == order
