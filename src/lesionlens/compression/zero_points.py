"""Zero points of quantised inputs moved into biases: the same numbers, from a graph that OpenVINO loads sooner."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lesionlens.core.artifact import atomic_file

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
    import onnx

    model = onnx.load(graph)
    nodes, stored = model.graph.node, _Stored(model.graph)
    producers = {name: node for node in nodes for name in node.output}
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in nodes:
        for name in node.input:
            readers[name].append(node)
    n_rewritten = 0
    for node in list(nodes):
        if node.op_type == "Conv" and not _is_padded(node):
            source = _source(node, producers, readers, stored)
            if source is not None:
                _move(node, source, stored)
                n_rewritten += 1
    stored.finish()
    with atomic_file(out) as temporary:
        onnx.save(model, str(temporary))
    return n_rewritten


class _Source(NamedTuple):
    """What quantises the input of a convolution, and its filters: two nodes for the input, one for the filters."""

    quantize: Any
    dequantize: Any
    filters: Any


class _Stored:
    """The stored tensors of a graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.by_name = {each.name: each for each in graph.initializer}

    def value(self, name: str) -> np.ndarray:
        """A tensor by its name."""
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self.by_name[name]))

    def add(self, name: str, value: np.ndarray) -> str:
        """Store one more."""
        from onnx import numpy_helper

        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def finish(self) -> None:
        """Leave out what nothing reads, and the declared types of tensors, of which some are not true any more."""
        used = {name for node in self.graph.node for name in node.input}
        kept = [each for each in self.graph.initializer if each.name in used]
        del self.graph.initializer[:], self.graph.value_info[:]
        self.graph.initializer.extend(kept)


def _is_padded(node: Any) -> bool:
    from onnx import helper

    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return any(attributes.get("pads", ())) or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")


def _source(node: Any, producers: dict[str, Any], readers: dict[str, list[Any]], stored: _Stored) -> _Source | None:
    """What quantises a convolution's input and filters; None unless its zero point can be moved."""
    dequantize, filters = (_dequantizing(producers.get(name)) for name in node.input[:2])
    quantize = None if dequantize is None else producers.get(dequantize.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear" or filters is None:
        return None
    is_whole = len(quantize.input) == len(dequantize.input) == 3
    is_read_once = all(len(readers[each.output[0]]) == 1 for each in (quantize, dequantize))
    constants = (*quantize.input[1:], *dequantize.input[1:], *filters.input, *node.input[2:])
    if not is_whole or not is_read_once or not all(name in stored.by_name for name in constants):
        return None
    return _Source(quantize, dequantize, filters) if _is_by_filter(filters, stored) else None


def _dequantizing(node: Any) -> Any:
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _is_by_filter(filters: Any, stored: _Stored) -> bool:
    """Whether filters have one scale, or one each, and no zero point."""
    axis = next((each.i for each in filters.attribute if each.name == "axis"), 1)
    has_zero_point = len(filters.input) > 2 and stored.value(filters.input[2]).any()
    return not has_zero_point and (axis == 0 or stored.value(filters.input[1]).size == 1)


def _move(node: Any, source: _Source, stored: _Stored) -> None:
    """Move the zero point of a convolution's input into its bias."""
    quantize, dequantize, filters = source
    scale = float(stored.value(dequantize.input[1]))
    given = stored.value(dequantize.input[2])
    zero_point = int(given) + (TO_UINT8 if given.dtype == np.int8 else 0)
    weights = stored.value(filters.input[0]).astype(np.float64)
    sums = weights.reshape(len(weights), -1).sum(1) * stored.value(filters.input[1]).astype(np.float64)
    bias = stored.value(node.input[2]).astype(np.float64) if len(node.input) > 2 else 0.0
    name = stored.add(f"{node.output[0]}_moved_bias", (bias - scale * zero_point * sums).astype(np.float32))
    quantize.input[2] = stored.add(f"{quantize.output[0]}_unsigned", np.array(zero_point, np.uint8))
    del dequantize.input[2:]
    node.input[:] = [*node.input[:2], name]
