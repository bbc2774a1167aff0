"""What is fast on a processor without int8 products (AVX2 alone), and what that costs: candidates alternating in one run.

    python benchmarks/avx2.py [--as-it-is] [--rounds 20] [--threads 2] [--work FOLDER] [--out FILE]

On a newer processor, AVX2 alone is simulated by the variables that OpenVINO (oneDNN), PyTorch, FBGEMM and MKL obey; the
result says so. ONNX Runtime has no such variable, so its rows are not those of an AVX2 processor then, and carry
`simulated: false`. `--as-it-is` simulates nothing. Time does not depend on the weights, so they are random; how far a candidate's
features are from those of fp32 shows its rounding and nothing about accuracy. Every graph gives heat maps, PyTorch does not.
Needs the extras train, export and compress; `--work` keeps what was built.
"""

from __future__ import annotations

import os
import sys

SIMULATION = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "FBGEMM_ENABLE_INSTRUCTIONS": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
if "--as-it-is" not in sys.argv:
    os.environ.update(SIMULATION)  # before any of them is imported

from lesionlens.bundle import telemetry  # noqa: E402

telemetry.switch_off()

import argparse  # noqa: E402
import json  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
from onnx import helper  # noqa: E402

from lesionlens.bundle.benchmark import Call, alternate, machine, spread, versions  # noqa: E402
from lesionlens.bundle.bundle import Bundle  # noqa: E402
from lesionlens.bundle.engines import Engine, Limits, load_engine  # noqa: E402
from lesionlens.bundle.selftest import read_selftest  # noqa: E402
from lesionlens.compression.channel_norms import normalise_over_channels  # noqa: E402
from lesionlens.compression.pointwise import pointwise_as_convolutions  # noqa: E402
from lesionlens.compression.quantize import dynamic_int8, static_int8  # noqa: E402
from lesionlens.compression.runnable_variant import TorchClassifier  # noqa: E402
from lesionlens.core.artifact import write_json  # noqa: E402
from lesionlens.models.build import Normalise  # noqa: E402
from lesionlens.training.checkpoint import load_network  # noqa: E402
from output import work_folder  # noqa: E402  beside this file
from source_version import commit  # noqa: E402  beside this file
from workshop import Workshop  # noqa: E402  beside this file

BASELINE, PAPER = "pytorch fp32", "pytorch dynamic int8 (the paper's)"


def with_tanh(source: Path, out: Path) -> None:
    """Write a graph with GELU by tanh, the common approximation, in place of erf."""
    model = onnx.load(source)
    for node in model.graph.node:
        if node.op_type == "Gelu":
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("approximate", "tanh"))
    onnx.save(model, str(out))


def reduced_range(source: Path, out: Path, images: np.ndarray) -> None:
    """ONNX Runtime's own static int8, U8S8 with 7 bits for the weights, so that no sum saturates on AVX2."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image[None]}

    options: dict[str, Any] = {"quant_format": QuantFormat.QDQ, "per_channel": True, "reduce_range": True}
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(source), str(out), Images(), op_types_to_quantize=["MatMul", "Conv"], **options, **types)


def dynamic_products(source: Path, out: Path) -> None:
    """ONNX Runtime's dynamic int8 of products alone, weights per channel with 7 bits: the paper's method in that runtime."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source), str(out), op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
    )


def packed_products(source: Path, out: Path) -> None:
    """MatMulNBits: weights of products in 8 bits by block, computed in int8 where ONNX Runtime has kernels."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(source), bits=8, block_size=32, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    quantizer.model.save_model_to_file(str(out))


def compressed_weights(source: Path, out: Path) -> None:
    """OpenVINO's format with weights of products in int8 and everything computed in fp32 (NNCF)."""
    import nncf
    import openvino

    openvino.save_model(nncf.compress_weights(openvino.Core().read_model(source)), out, compress_to_fp16=False)


def in_one_layout(source: Path, out: Path) -> None:
    """Without the transposes around each LayerNorm."""
    normalise_over_channels(source, out)


def static(source: Path, out: Path, images: np.ndarray) -> None:
    """The int8 of `lesionlens compress`."""
    static_int8(source, images, out)


def built(path: Path, build: Callable[..., None], *arguments: Any) -> Path:
    """A file that is built unless it is there."""
    if not path.is_file():
        build(arguments[0], path, *arguments[1:])
    return path


def graphs(bundle: Bundle, work: Path, images: np.ndarray) -> Iterator[tuple[str, str, Path]]:
    """Name, runtime and file of each candidate."""
    fp32, int8 = bundle.path / "model.onnx", bundle.path / "model.int8.onnx"
    pointwise = built(work / "pointwise.onnx", pointwise_as_convolutions, fp32)
    pointwise_int8 = built(work / "pointwise.int8.onnx", static, pointwise, images)
    one_layout = built(work / "one_layout.int8.onnx", in_one_layout, pointwise_int8)
    tanh_int8 = built(work / "tanh.int8.onnx", with_tanh, int8)
    files = {
        "fp32": fp32,
        "fp32, GELU by tanh": built(work / "tanh.onnx", with_tanh, fp32),
        "fp32, pointwise layers as convolutions": pointwise,
        "int8": int8,
        "int8, GELU by tanh": tanh_int8,
        "int8, pointwise layers as convolutions": pointwise_int8,
        "int8-pointwise: the same, LayerNorm over channels": one_layout,
    }
    for name, path in files.items():
        yield f"openvino {name}", "openvino", path
        yield f"onnxruntime {name}", "onnxruntime", path
    only_there: dict[str, tuple[str, Path]] = {
        "openvino weights alone in int8": ("openvino", built(work / "weights.xml", compressed_weights, fp32)),
        "onnxruntime int8, its own with 7 bits": ("onnxruntime", built(work / "reduced.onnx", reduced_range, fp32, images)),
        "onnxruntime dynamic int8 of products": ("onnxruntime", built(work / "dynamic.onnx", dynamic_products, fp32)),
        "onnxruntime MatMulNBits, 8 bits": ("onnxruntime", built(work / "nbits.onnx", packed_products, fp32)),
    }
    for name, (runtime, path) in only_there.items():
        yield name, runtime, path


def torch_calls(bundle: Bundle) -> Iterator[tuple[str, Call]]:
    """PyTorch in fp32 and the paper's dynamic int8, without maps."""
    network, info = load_network(bundle.path / "weights.safetensors")
    normalise = Normalise(info.spec.mean, info.spec.std)
    for name, each in ((BASELINE, network), (PAPER, dynamic_int8(network))):
        classifier = TorchClassifier(each, normalise).eval()

        def run(images: np.ndarray, classifier: Any = classifier) -> object:
            with torch.inference_mode():
                return classifier(torch.from_numpy(images))

        yield name, run


def distance(engine: Engine, reference: np.ndarray, images: np.ndarray) -> float:
    """Largest difference of a feature from fp32, as a share of the largest feature."""
    found = np.concatenate([engine.run(image[None]).features for image in images])
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    shop = Workshop(work, "convnext_tiny", options.size, options.calibration, 0.0)
    bundle = shop.bundle("convnext_tiny")
    images = read_selftest(bundle).images
    pixels = np.ascontiguousarray(shop.dataset.store.images[: options.calibration])
    calls, differences, left_out = dict(torch_calls(bundle)), {}, {}
    limits = Limits(options.threads)
    reference = np.concatenate(
        [load_engine("onnxruntime", bundle.path / "model.onnx", options.size, "fp32", limits).run(images[:1]).features]
    )
    for name, runtime, path in graphs(bundle, work, pixels):
        try:
            engine = load_engine(runtime, path, options.size, "fp32", limits)
            differences[name] = distance(engine, reference, images[:1])
        except Exception as error:  # what a runtime cannot do is a result
            left_out[name] = " ".join(str(error).split())[:200]
            continue
        calls[name] = engine.run
    times = alternate(calls, images, 1, options.rounds)
    median = {name: float(np.median(values)) for name, values in times.items()}
    simulating = not options.as_it_is
    rows = {
        name: {
            **spread(values),
            "times_faster_than_pytorch_fp32": median[BASELINE] / median[name],
            "times_faster_than_the_papers_int8": median[PAPER] / median[name],
            "largest_feature_difference": differences.get(name),
            "simulated": simulating and not name.startswith("onnxruntime"),
        }
        for name, values in times.items()
    }
    return {
        "command": f"python benchmarks/avx2.py --threads {options.threads} --rounds {options.rounds}",
        "network": "convnext_tiny",
        "size": options.size,
        "batch_size": 1,
        "threads": options.threads,
        "weights": "random: this is about time",
        "simulation": SIMULATION if simulating else None,
        "rows": rows,
        "left_out": left_out,
        "load_average": os.getloadavg()[0],
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-it-is", action="store_true", help="simulate nothing")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calibration", type=int, default=12, help="images that int8 is calibrated on")
    parser.add_argument("--work", type=Path, help="folder to keep; what is in it is used again")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/avx2.json"))
    options = parser.parse_args()
    with work_folder(options.work) as work:
        result = measure(options, work)
    print(json.dumps(result, indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
