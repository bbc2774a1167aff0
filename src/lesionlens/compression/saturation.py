"""Weights of int8 that cannot saturate where a processor adds pairs of products in 16 bits: AVX2, and AVX-512 without VNNI.

There a runtime multiplies an activation from 0 to 255 by a weight from -127 to 127, and adds two neighbouring products
(`vpmaddubsw`) in a signed 16-bit number, which ends at 32,767. Two weights of 127 beside two bright activations give 64,770,
and the runtime goes on with 32,767, silently. No pair can do so if the two largest weights of a sign in an output channel add
up to at most 128, because 255 * 128 = 32,640.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST_PAIR = 128  # 2**15 // 256: of two weights that are added
ROUNDING = 1  # two weights may be rounded up by half a step each


def narrow_weights(model: Any) -> dict[str, int]:
    """Narrow the weights of a quantised ONNX model (QDQ) in place until none can saturate; their scales grow as they shrink.

    A channel is narrowed as far as it needs, by a factor from 0.5 to 1, so that it keeps 7 to 8 bits. Depthwise
    convolutions stay as they are: runtimes widen their weights before they multiply.

    Args:
        model: a model that NNCF quantised.

    Returns:
        `channels` of all products, and how many of them were `narrowed`.
    """
    import onnx

    stored = {each.name: each for each in model.graph.initializer}
    counts = {"channels": 0, "narrowed": 0}
    for node in model.graph.node:
        weights = stored.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if weights is None or weights.data_type != onnx.TensorProto.INT8:
            continue
        values, scales = (onnx.numpy_helper.to_array(stored[name]) for name in node.input[:2])
        if values.ndim < 2 or (values.ndim > 2 and values.shape[1] == 1):
            continue  # a bias or a shared constant; a depthwise convolution
        narrowed, grown = narrow(values, scales, _axis(node))
        counts["channels"] += scales.size
        counts["narrowed"] += int((grown != scales).sum())
        weights.CopyFrom(onnx.numpy_helper.from_array(narrowed, node.input[0]))
        stored[node.input[1]].CopyFrom(onnx.numpy_helper.from_array(grown, node.input[1]))
    return counts


def narrow(weights: np.ndarray, scales: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights, no two of which saturate, with their scales.

    Args:
        weights: int8, of any shape.
        scales: float32, one for each index along `axis`, or one for all.
        axis: of the output channels.

    Example:
        >>> narrow(np.array([[127, 127, -3]], np.int8), np.array([0.5], np.float32), 0)
        (array([[64, 64, -2]], dtype=int8), array([1.], dtype=float32))
    """
    rows = np.moveaxis(weights, axis, 0).reshape(scales.size, -1).astype(np.int64)
    largest = np.maximum(*(_largest_pair(sign * rows) for sign in (1, -1)))
    factors = np.where(largest > LARGEST_PAIR, (LARGEST_PAIR - ROUNDING) / np.maximum(largest, 1), 1.0)
    narrowed = np.rint(rows * factors[:, None]).astype(np.int8)
    moved = np.moveaxis(weights, axis, 0).shape
    return np.moveaxis(narrowed.reshape(moved), 0, axis), (scales / factors.reshape(scales.shape)).astype(np.float32)


def _largest_pair(rows: np.ndarray) -> np.ndarray:
    """Sum of the two largest values above zero in each row."""
    positive = np.maximum(rows, 0)
    pairs: np.ndarray = positive if rows.shape[1] < 2 else np.partition(positive, -2, axis=1)[:, -2:]
    return np.asarray(pairs.sum(1))


def _axis(node: Any) -> int:
    return int(next((each.i for each in node.attribute if each.name == "axis"), 1))
