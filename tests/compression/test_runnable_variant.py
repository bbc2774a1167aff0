import pytest

from lesionlens.bundle.benchmark import peak_memory
from lesionlens.compression.runnable_variant import PYTORCH, RunnableVariant


def test_bytes_on_disk(tmp_path, small_bundle):
    graph = small_bundle / "model.onnx"
    assert RunnableVariant("fp32", "openvino", graph, 64).size_bytes == graph.stat().st_size
    (tmp_path / "large.onnx").write_bytes(bytes(10))
    (tmp_path / "large.onnx.data").write_bytes(bytes(1000))
    assert RunnableVariant("fp32", "openvino", tmp_path / "large.onnx", 64).size_bytes == 1010
    assert RunnableVariant("dynamic-int8", PYTORCH, graph, 64, stored_files=(tmp_path / "large.onnx",)).size_bytes == 10


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", PYTORCH])
def test_another_process_loads_the_same(runtime, small_bundle, parent):
    form = RunnableVariant("fp32", runtime, parent.checkpoint if runtime == PYTORCH else small_bundle / "model.onnx", 64)
    memory = peak_memory(form.loader, form.arguments(1, 1), 64)
    assert memory is not None
    assert memory.peak_bytes >= memory.baseline_bytes


def test_graphs_are_loaded_without_torch():
    import subprocess
    import sys

    code = "import sys, lesionlens.compression.variant_graphs; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
