"""Zero points of quantised inputs moved into biases: the same numbers, from a graph that OpenVINO loads sooner."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lesionlens.compression.graph_rewriting import GraphRewriting

TO_UINT8 = 128


def move_zero_points(graph: Path, out: Path) -> int:
    """Write a quantised graph whose convolutions take unsigned 8-bit inputs without a zero point.

    An input x of a convolution without padding is s * (q - z), so the convolution of x is that of s * q, minus s * z times
    the sum of each filter, which is a constant: it joins the bias. Signed inputs become unsigned ones, by 128 added to q
    and z. For a zero point, and for signed inputs without VNNI, oneDNN sums all weights up while a graph is loaded, one by
    one; for inputs without either it does not. Convolutions with padding keep their zero point, which is what they pad with.

    Args:
        graph: ONNX file, quantised by `static_int8`.
        out: ONNX file to write; may be the same.

    Returns:
        How many convolutions were rewritten.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    rewriting = GraphRewriting(graph)
    n_rewritten = 0
    for node in rewriting.graph.node:
        source = None if node.op_type != "Conv" or _is_padded(node) else _source(node, rewriting)
        if source is not None:
            _move(node, source, rewriting)
            n_rewritten += 1
    rewriting.write(rewriting.graph.node, out)
    return n_rewritten


class _Source(NamedTuple):
    """What quantises the input of a convolution, and its filters: two nodes for the input, one for the filters."""

    quantize: Any
    dequantize: Any
    filters: Any


def _is_padded(node: Any) -> bool:
    from onnx import helper

    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return any(attributes.get("pads", ())) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")


def _source(node: Any, rewriting: GraphRewriting) -> _Source | None:
    """What quantises a convolution's input and filters; None unless its zero point can be moved."""
    dequantize, filters = (_dequantizing(rewriting.producers.get(name)) for name in node.input[:2])
    quantize = None if dequantize is None else rewriting.producers.get(dequantize.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear" or filters is None:
        return None
    is_whole = len(quantize.input) == len(dequantize.input) == 3
    is_read_once = all(len(rewriting.consumers[each.output[0]]) == 1 for each in (quantize, dequantize))
    constants = (*quantize.input[1:], *dequantize.input[1:], *filters.input, *node.input[2:])
    if not is_whole or not is_read_once or not all(name in rewriting.stored for name in constants):
        return None
    return _Source(quantize, dequantize, filters) if _is_by_filter(filters, rewriting) else None


def _dequantizing(node: Any) -> Any:
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _is_by_filter(filters: Any, rewriting: GraphRewriting) -> bool:
    """Whether filters have one scale, or one each, and no zero point."""
    axis = next((each.i for each in filters.attribute if each.name == "axis"), 1)
    has_zero_point = len(filters.input) > 2 and rewriting.value(filters.input[2]).any()
    return not has_zero_point and (axis == 0 or rewriting.value(filters.input[1]).size == 1)


def _move(node: Any, source: _Source, rewriting: GraphRewriting) -> None:
    """Move the zero point of a convolution's input into its bias."""
    quantize, dequantize, filters = source
    scale = float(rewriting.value(dequantize.input[1]))
    given = rewriting.value(dequantize.input[2])
    zero_point = int(given) + (TO_UINT8 if given.dtype == np.int8 else 0)
    weights = rewriting.value(filters.input[0]).astype(np.float64)
    sums = weights.reshape(len(weights), -1).sum(1) * rewriting.value(filters.input[1]).astype(np.float64)
    bias = rewriting.value(node.input[2]).astype(np.float64) if len(node.input) > 2 else 0.0
    name = rewriting.add_constant(f"{node.output[0]}_moved_bias", (bias - scale * zero_point * sums).astype(np.float32))
    quantize.input[2] = rewriting.add_constant(f"{quantize.output[0]}_unsigned", np.array(zero_point, np.uint8))
    del dequantize.input[2:]
    node.input[:] = [*node.input[:2], name]
