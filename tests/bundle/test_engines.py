import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lesionlens.bundle import engines
from lesionlens.bundle.engines import EITHER, Limits, Port, computes_in, fast_int8, installed, load_engine, version_of
from lesionlens.bundle.outputs import differences
from lesionlens.core.errors import BundleError
from lesionlens.core.machine import schedulable_cores

RUNTIMES = [
    pytest.param(name, marks=pytest.mark.skipif(not installed(name), reason=f"{name} is not installed"))
    for name in ("openvino", "onnxruntime")
]


def write_toy(path: Path, size: int = 4) -> Path:
    """Features are the mean colours, probabilities their softmax, maps the pixels by colour."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["maps"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["maps", "axes"], ["features"], keepdims=0),
        helper.make_node("Softmax", ["features"], ["probabilities"], axis=1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", size, size, 3])
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["batch", 3, size, size]),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    graph = helper.make_graph(nodes, "toy", [images], outputs, [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_by_hand(runtime, batch_size, tmp_path):
    engine = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits(1, batch_size))
    assert engine.inputs == {"images": Port("uint8", (None, 4, 4, 3))}
    assert engine.outputs["maps"] == Port("float32", (None, 3, 4, 4))
    images = np.zeros((batch_size, 4, 4, 3), np.uint8)
    images[0, 0, 0] = (16, 32, 48)
    found = engine.run(images)
    assert found.features[0].tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.probabilities[0], np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum(), rtol=1e-6)
    assert found.maps is not None
    assert found.maps[0, :, 0, 0].tolist() == [16, 32, 48]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_results_are_not_overwritten_by_the_next_call(runtime, tmp_path):
    engine = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits(1))
    first = engine.run(np.full((1, 4, 4, 3), 16, np.uint8))
    engine.run(np.full((1, 4, 4, 3), 99, np.uint8))
    assert first.features.tolist() == [[16, 16, 16]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_short_last_batch(runtime, tmp_path):
    engine = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits(1, 8))
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    whole = engine.run(images)
    assert not any(differences(engine.run(images[3:]), whole.rows(3, 5)).values())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_no_graph(runtime, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=f"{runtime} cannot load .*model.onnx"):
        load_engine(runtime, tmp_path / "model.onnx", 4, "fp32", Limits())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_images_of_another_size_are_one_line(runtime, tmp_path):
    engine = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits(1))
    with pytest.raises(BundleError, match=f"{runtime} failed on 1 images"):
        engine.run(np.zeros((1, 5, 5, 3), np.uint8))


def test_an_absent_runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda runtime: False)
    with pytest.raises(BundleError, match="openvino is not installed; install it with: pip install openvino"):
        load_engine("openvino", tmp_path / "model.onnx", 4, "fp32", Limits())


def test_a_runtime_that_cannot_be_imported(tmp_path, monkeypatch):
    def broken(name):
        raise ImportError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setattr(engines.importlib, "import_module", broken)
    monkeypatch.setattr(engines, "installed", lambda runtime: True)
    with pytest.raises(BundleError, match="openvino is installed and cannot be imported .*libtbb.*choose another --runtime"):
        load_engine("openvino", tmp_path / "model.onnx", 4, "fp32", Limits())


def test_precisions(monkeypatch):
    assert computes_in("onnxruntime", "fp32")
    assert not computes_in("onnxruntime", "bf16")
    openvino = pytest.importorskip("openvino")
    for capabilities in (["FP32"], ["FP32", "BF16"]):
        monkeypatch.setattr(openvino.Core, "get_property", lambda core, device, name, found=capabilities: found)
        assert computes_in("openvino", "bf16") is ("BF16" in capabilities)
        assert computes_in("openvino", EITHER)


@pytest.mark.parametrize(("runtime", "has", "expected"), [("openvino", True, "bf16"), ("openvino", False, "fp32")])
def test_bf16_where_it_is_to_be_had(runtime, has, expected, tmp_path, monkeypatch):
    pytest.importorskip(runtime)
    asked: list[str] = []
    monkeypatch.setitem(engines.ENGINES, runtime, lambda graph, size, precision, limits, content: asked.append(precision))
    monkeypatch.setattr(engines, "computes_in", lambda runtime, precision: has)
    load_engine(runtime, tmp_path / "model.onnx", 4, EITHER, Limits())
    assert asked == [expected]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_bf16_or_fp32_runs_everywhere(runtime, tmp_path):
    engine = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, EITHER, Limits(1))
    wanted = load_engine(runtime, write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits(1))
    image = np.full((1, 4, 4, 3), 100, np.uint8)
    np.testing.assert_allclose(engine.run(image).probabilities, wanted.run(image).probabilities, atol=0.01)


def test_bf16_is_for_openvino(tmp_path):
    with pytest.raises(BundleError, match="onnxruntime has no bf16"):
        load_engine("onnxruntime", write_toy(tmp_path / "toy.onnx"), 4, "bf16", Limits())


def test_a_processor_without_bf16(tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino.Core, "get_property", lambda core, device, name: ["FP32", "INT8"])
    with pytest.raises(BundleError, match="no bf16 arithmetic"):
        load_engine("openvino", write_toy(tmp_path / "toy.onnx"), 4, "bf16", Limits())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags : fpu sse avx2 avx512_vnni\n", True),
        ("processor : 0\nflags : fpu sse avx2\n", False),
        ("processor : 0\nFeatures : fp asimd asimddp\n", True),
        ("nothing here\n", None),
    ],
)
def test_int8_instructions(tmp_path, text, expected, monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    (tmp_path / "cpuinfo").write_text(text)
    assert fast_int8(tmp_path / "cpuinfo") is expected


@pytest.mark.parametrize(
    ("limits", "expected"), [(Limits(), 3), (Limits(streams=2), 1), (Limits(5), 5), (Limits(4, streams=2), 2)]
)
def test_the_quota_of_the_container_bounds_the_threads_of_onnxruntime(limits, expected, monkeypatch):
    monkeypatch.setattr(engines, "library_threads", lambda: 3)
    monkeypatch.setattr(engines, "cores", lambda: 3)
    assert engines._onnx_threads(limits) == expected


@pytest.mark.parametrize(("quota", "limits", "expected"), [(1, Limits(), 1), (1, Limits(2), 2)])
def test_the_quota_of_the_container_bounds_the_threads_of_openvino(quota, limits, expected, tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    configs: list[dict[str, object]] = []
    compile_model = openvino.Core.compile_model

    def spy(core, model, device, config):
        configs.append(config)
        return compile_model(core, model, device, config)

    monkeypatch.setattr(openvino.Core, "compile_model", spy)
    monkeypatch.setattr(engines, "library_threads", lambda: quota)
    load_engine("openvino", write_toy(tmp_path / "toy.onnx"), 4, "fp32", limits)
    monkeypatch.setattr(engines, "library_threads", lambda: 0)
    load_engine("openvino", write_toy(tmp_path / "toy.onnx"), 4, "fp32", Limits())
    assert configs[0]["INFERENCE_NUM_THREADS"] == expected
    assert "INFERENCE_NUM_THREADS" not in configs[1]


PINNED = """
import os, sys, threading
from pathlib import Path
import numpy as np
from lesionlens.bundle.engines import Limits, load_engine

engine = load_engine(sys.argv[1], Path(sys.argv[2]), 64, "fp32", Limits(1))
images = np.zeros((1, 64, 64, 3), np.uint8)
busy = threading.Thread(target=lambda: [engine.run(images) for _ in range(200)])
busy.start()
allowed = set()
while busy.is_alive():
    for thread in Path("/proc/self/task").iterdir():
        try:
            allowed.add(len(os.sched_getaffinity(int(thread.name))))
        except ProcessLookupError:  # it ended
            pass
print(*sorted(allowed))
"""


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.skipif("not hasattr(os, 'sched_getaffinity') or schedulable_cores() < 2", reason="needs Linux and two cores")
def test_processes_with_a_thread_each_use_all_cores(runtime, small_bundle):
    """The scheduler may move every thread: pinned ones of two processes would share the first core."""
    command = [sys.executable, "-c", PINNED, runtime, str(small_bundle / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(schedulable_cores())]


def test_int8_instructions_are_unknown_without_cpuinfo(tmp_path):
    assert fast_int8(tmp_path / "none") is None


SIMULATED = """
import sys
from pathlib import Path
import numpy as np
from lesionlens.bundle.engines import Limits, computes_in, fast_int8, load_engine

engine = load_engine("openvino", Path(sys.argv[1]), 64, "fp32", Limits(1))
engine.run(np.zeros((1, 64, 64, 3), np.uint8))
kinds = set()
for node in engine._requests.get().get_compiled_model().get_runtime_model().get_ops():
    facts = {key: node.get_rt_info()[key].astype(str) for key in ("layerType", "primitiveType") if key in node.get_rt_info()}
    if facts.get("layerType") in ("Convolution", "FullyConnected", "MatMul"):
        kinds.add(facts["primitiveType"])
print(fast_int8(), computes_in("openvino", "bf16"), *kinds)
"""


@pytest.mark.skipif("avx2" not in (engines.instruction_sets() or ()), reason="this is no x86 processor with AVX2")
def test_openvino_as_on_a_processor_with_avx2_alone(small_bundle):
    """CI covers such a processor on any machine: no product is computed with AVX-512, and int8 counts as slow.

    ONNX Runtime has no such variable; `fast_int8` is simulated for it in tests/bundle/test_variants.py.
    """
    pytest.importorskip("openvino")
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", SIMULATED, str(small_bundle / "model.onnx")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    fast, bf16, *kinds = done.stdout.split()
    assert (fast, bf16) == ("False", "False")
    assert any("avx2" in kind for kind in kinds)
    assert not any("avx512" in kind for kind in kinds)


@pytest.mark.parametrize("library", ["numpy", "onnxruntime", "openvino", "PIL", "nncf"])
def test_the_version_of_a_library_is_that_of_its_package(library):
    if not installed(library):
        pytest.skip(f"{library} is not installed")
    package = {"PIL": "pillow"}.get(library, library)
    assert version_of(library) == importlib.metadata.version(package)


def test_the_version_of_a_package_with_another_name(tmp_path, monkeypatch):
    """As of onnxruntime-gpu, which is imported as onnxruntime."""
    (tmp_path / "some_runtime").mkdir()
    (tmp_path / "some_runtime" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "some_runtime_gpu-9.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert version_of("some_runtime") == "1.2.3"
