"""Int8 of a ConvNeXt in one layout: its linear layers as 1x1 convolutions, for which oneDNN has int8 kernels for AVX2."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.compression.channel_norms import TO_NCHW, normalise_over_channels
from lesionlens.compression.graph_rewriting import GraphRewriting
from lesionlens.compression.quantize import AccuracyGoal, static_int8
from lesionlens.compression.zero_points import move_zero_points
from lesionlens.core.errors import ModelError

BLOCK = ["MatMul", "Add", "Gelu", "MatMul", "Add", "Transpose"]


def pointwise_int8(graph: Path, calibration_images: np.ndarray, out: Path, accuracy: AccuracyGoal | None = None) -> None:
    """Quantise a graph of ConvNeXt blocks to int8 for OpenVINO: the fastest one without VNNI, and with it.

    Its linear layers become 1x1 convolutions (`pointwise_as_convolutions`), it is quantised, its LayerNorms are computed
    without transposes (`normalise_over_channels`), and zero points join the biases (`move_zero_points`). ONNX Runtime runs it
    too, slower than the graph of `static_int8`.

    Args:
        graph: a bundle's fp32 graph.
        calibration_images: uint8 (N, S, S, 3), see `static_int8`.
        out: ONNX file to write.
        accuracy: the largest accepted loss, see `static_int8`.

    Raises:
        ModelError: if the graph has no such block, or as `static_int8` does.
        StorageError: if the disk is full or not writable.
    """
    rewritten = out.with_name(f"{out.stem}.fp32.onnx")
    try:
        pointwise_as_convolutions(graph, rewritten)
        static_int8(rewritten, calibration_images, out, accuracy)
        normalise_over_channels(out, out)
        move_zero_points(out, out)
    finally:
        rewritten.unlink(missing_ok=True)


def has_blocks(graph: Path) -> bool:
    """Whether an exported graph holds a ConvNeXt block that `pointwise_as_convolutions` rewrites."""
    import onnx

    graph_parts = onnx.load(graph).graph
    nodes, n_axes = list(graph_parts.node), _numbers_of_axes(graph_parts)
    return any(_is_block(nodes[at : at + len(BLOCK)], n_axes) for at in range(len(nodes)))


def pointwise_as_convolutions(graph: Path, out: Path) -> None:
    """Write an exported graph with the two linear layers of each block as 1x1 convolutions.

    A block normalises (N, H, W, C), applies two linear layers with a GELU between them, and transposes to (N, C, H, W).
    The transpose moves before them. Whatever else the graph holds stays as it is.

    Args:
        graph: a bundle's fp32 graph.
        out: ONNX file to write.

    Raises:
        ModelError: if the graph has no such block.
        StorageError: if the disk is full or not writable.
    """
    rewriting = GraphRewriting(graph)
    n_axes = _numbers_of_axes(rewriting.graph)
    left, nodes, n_blocks = list(rewriting.graph.node), [], 0
    while left:
        block = left[: len(BLOCK)]
        if _is_block(block, n_axes):
            nodes += _convolutions(block, rewriting)
            del left[: len(BLOCK)]
            n_blocks += 1
        else:
            nodes.append(left.pop(0))
    if not n_blocks:
        raise ModelError(f"{graph} has no ConvNeXt block; leave int8-pointwise out of compression.variants")
    rewriting.write(nodes, out)


def _numbers_of_axes(graph: Any) -> dict[str, int]:
    """Of each stored tensor, by name, without reading its values."""
    return {each.name: len(each.dims) for each in graph.initializer}


def _is_block(nodes: list[Any], n_axes: dict[str, int]) -> bool:
    return (
        [node.op_type for node in nodes] == BLOCK
        and all(node.output[0] in following.input for node, following in pairwise(nodes))
        and all(n_axes.get(nodes[at].input[1]) == 2 for at in (0, 3))
        and all(any(name in n_axes for name in nodes[at].input) for at in (1, 4))
        and list(nodes[5].attribute[0].ints) == TO_NCHW
    )


def _convolutions(block: list[Any], rewriting: GraphRewriting) -> list[Any]:
    """The nodes in place of a block; their weights are added to the graph."""
    from onnx import helper

    first, first_bias, gelu, second, second_bias, transpose = block
    before = f"{first.output[0]}_nchw"

    def convolution(source: str, product: Any, bias: Any, out: str) -> Any:
        weights = np.ascontiguousarray(rewriting.value(product.input[1]).T[:, :, None, None])  # (out, in, 1, 1)
        # One of its own for each layer, as the tensor of the product is.
        name = rewriting.add_constant(f"{product.input[1]}_1x1", weights)
        bias_name = next(each for each in bias.input if each in rewriting.stored)
        return helper.make_node("Conv", [source, name, bias_name], [out], name=f"{out}_conv", kernel_shape=[1, 1])

    return [
        helper.make_node("Transpose", [first.input[0]], [before], name=before, perm=TO_NCHW),
        convolution(before, first, first_bias, first_bias.output[0]),
        gelu,
        convolution(gelu.output[0], second, second_bias, transpose.output[0]),
    ]
