"""Quantisation: static int8 of the exported graph, and the dynamic int8 of the paper."""

from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle import telemetry
from lesionlens.bundle.outputs import FEATURES, INPUT, PROBABILITIES
from lesionlens.compression.saturation import narrow_weights
from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.core.machine import library_threads
from lesionlens.evaluation.metrics import balanced_accuracy

LEAST_PROBABILITY = 1e-30
SIGNED_ACTIVATIONS = {"Gelu", "Erf", "Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "Elu", "LeakyRelu", "Mish"}
FLOAT_CONVOLUTIONS = 5  # stem and first blocks: few weights, the widest ranges; see docs/compression.md


@dataclass(frozen=True, eq=False)
class AccuracyGoal:
    """The largest accepted loss of accuracy, for NNCF's accuracy-aware mode.

    Attributes:
        images: of the validation split, prepared, each uint8 (1, S, S, 3).
        labels: their true class indices, (N,).
        drop: largest drop of balanced accuracy, above 0.
    """

    images: Sequence[np.ndarray]
    labels: np.ndarray
    drop: float


def check_installed() -> None:
    """Check that NNCF and ONNX are installed.

    Raises:
        ModelError: if one of them is missing.
    """
    for name in ("onnx", "nncf"):
        if importlib.util.find_spec(name) is None:
            raise ModelError(f"{name} is not installed; static int8 needs it: pip install 'lesionlens[compress]'")


def static_int8(graph: Path, calibration_images: np.ndarray, out: Path, accuracy: AccuracyGoal | None = None) -> None:
    """Quantise an exported graph to int8 after training, as one ONNX file (QDQ) that every runtime reads.

    Everything after the pooled features stays in float: it is a thousandth of the work, and the
    heat maps, which are computed from it, do not survive its rounding. The first convolutions stay in
    float as well, because every later layer inherits their rounding. Weights are narrowed so that no processor saturates,
    see `saturation`. See docs/compression.md for what else was tried.

    Args:
        graph: a bundle's fp32 graph.
        calibration_images: training images, prepared, uint8 (N, S, S, 3), that give the ranges of activations.
        out: file to write.
        accuracy: enables the accuracy-aware mode, which returns layers to float until the goal is met.

    Raises:
        ModelError: if NNCF is missing, or cannot quantise the graph.
        RecipeError: if there are no images.
        StorageError: if the disk is full or not writable.
    """
    check_installed()
    if not len(calibration_images):
        raise RecipeError("no training images to calibrate int8 on; give the store that the checkpoint was trained with")
    telemetry.switch_off()
    import onnx

    model = onnx.load(graph)
    with _quiet_nncf():
        quantised = _quantise(model, [image[None] for image in calibration_images], accuracy)
    _strip(quantised)
    narrow_weights(quantised)
    with atomic_file(out) as temporary:
        onnx.save(quantised, str(temporary))


def zero_weights(graph: Path) -> int:
    """Number of zeros among the int8 weights of a graph written by `static_int8`."""
    import onnx

    stored = onnx.load(graph).graph.initializer
    weights = (onnx.numpy_helper.to_array(each) for each in stored if each.data_type == onnx.TensorProto.INT8)
    return sum(int((values == 0).sum()) for values in weights if values.ndim > 1)


def first_convolutions(model: Any, number: int = FLOAT_CONVOLUTIONS) -> list[str]:
    """Names of the first convolutions of an ONNX model, in the order of computation."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"][:number]


def head_nodes(model: Any) -> list[str]:
    """Names of the nodes of an ONNX model that its pooled features do not depend on."""
    producers = {name: node for node in model.graph.node for name in node.output}
    backbone: set[str] = set()
    pending = [FEATURES]
    while pending:
        node = producers.get(pending.pop())
        if node is not None and node.name not in backbone:
            backbone.add(node.name)
            pending.extend(node.input)
    return [node.name for node in model.graph.node if node.name not in backbone]


def dynamic_int8(network: nn.Module) -> nn.Module:
    """The paper's quantisation: weights of the linear layers in int8, activations quantised at run time.

    Returns a copy; it only serves to reproduce the paper's row. PyTorch has deprecated it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantise: Any = torch.ao.quantization.quantize_dynamic
        quantised: nn.Module = quantise(network, {nn.Linear}, dtype=torch.qint8)
    return quantised


def packed_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Every tensor of a `dynamic_int8` network as plain arrays, packed weights included.

    Weights are int8 (rows, columns) with `<name>.scale` and `<name>.zero_point`; `parameters()` does not list them.
    """
    tensors = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    for name, module in network.named_modules():
        if isinstance(module, torch.ao.nn.quantized.dynamic.Linear):
            linear: Any = module
            weight, bias = linear.weight(), linear.bias()
            tensors = {key: value for key, value in tensors.items() if not key.startswith(f"{name}.")}
            tensors[f"{name}.weight"] = weight.int_repr()
            tensors[f"{name}.weight.scale"] = torch.tensor(weight.q_scale())
            tensors[f"{name}.weight.zero_point"] = torch.tensor(weight.q_zero_point())
            if bias is not None:
                tensors[f"{name}.bias"] = bias
    return {name: value.detach().contiguous().clone() for name, value in tensors.items()}


def _quantise(model: Any, images: list[np.ndarray], accuracy: AccuracyGoal | None) -> Any:
    import nncf
    from nncf.quantization.advanced_parameters import QuantizationParameters

    options: dict[str, Any] = {
        "subset_size": len(images),
        "preset": nncf.QuantizationPreset.MIXED if _has_signed_activations(model) else nncf.QuantizationPreset.PERFORMANCE,
        "model_type": nncf.ModelType.TRANSFORMER,
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            # ONNX Runtime has no kernels for activations with a range for each channel, and falls back to float.
            activations_quantization_params=QuantizationParameters(per_channel=False)
        ),
        "ignored_scope": nncf.IgnoredScope(names=[*first_convolutions(model), *head_nodes(model)]),
    }
    dataset = nncf.Dataset(images, _graph_inputs)
    try:
        if accuracy is None:
            return nncf.quantize(model, dataset, **options)
        cases = nncf.Dataset(_LabelledImages(accuracy), lambda case: _graph_inputs(case[0]))
        options["advanced_quantization_parameters"] = options.pop("advanced_parameters")
        return nncf.quantize_with_accuracy_control(model, dataset, cases, _validate, max_drop=accuracy.drop, **options)
    except (RuntimeError, ValueError, nncf.errors.InternalError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"NNCF cannot quantise this graph ({reason}); leave int8 out of compression.variants") from error


def _strip(model: Any) -> None:
    """Remove what a loader infers by itself: shapes between nodes, and zero points that are zero."""
    del model.metadata_props[:], model.graph.value_info[:]
    stored = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored and _all_zero(stored.get(node.input[2])):
            del node.input[2]
    used = {name for node in model.graph.node for name in node.input}
    initializers = [each for each in model.graph.initializer if each.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)


def _all_zero(tensor: Any) -> bool:
    import onnx

    return tensor is not None and tensor.data_type == onnx.TensorProto.INT8 and not onnx.numpy_helper.to_array(tensor).any()


def _has_signed_activations(model: Any) -> bool:
    """Whether activations have negative tails, which ranges around zero would spend half their steps on."""
    return any(node.op_type in SIGNED_ACTIVATIONS for node in model.graph.node)


def _validate(model: Any, items: Iterable[tuple[np.ndarray, int]]) -> tuple[float, list[float]]:
    """Balanced accuracy of a model, and the log-probability of the true class of each image, as NNCF requires."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = library_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    labels, outputs = [], []
    for image, label in items:
        labels.append(label)
        outputs.append(session.run([PROBABILITIES], _graph_inputs(image))[0][0])
    probabilities, truth = np.stack(outputs), np.array(labels)
    metric = balanced_accuracy(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    return metric, np.log(np.maximum(probabilities[np.arange(len(truth)), truth], LEAST_PROBABILITY)).tolist()


class _LabelledImages(Sequence[tuple[np.ndarray, int]]):
    """Images with their true classes, read on access."""

    def __init__(self, goal: AccuracyGoal) -> None:
        self._goal = goal

    def __len__(self) -> int:
        return len(self._goal.labels)

    def __getitem__(self, number: Any) -> Any:
        return self._goal.images[number], int(self._goal.labels[number])


def _graph_inputs(image: np.ndarray) -> dict[str, np.ndarray]:
    return {INPUT: np.ascontiguousarray(image)}


@contextmanager
def _quiet_nncf() -> Iterator[None]:
    """Silence NNCF, whose log and progress bars go to stdout, where only results belong."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
