import os
import subprocess
import sys
from pathlib import Path

import pytest

from lesionlens.bundle.engines import installed

LOAD = """
import sys
from pathlib import Path
from lesionlens.bundle.runtime import Predictor
predictor = Predictor(Path({bundle!r}), runtime={runtime!r})
assert sys.modules.get("openvino_telemetry") is None
print(predictor.runtime)
"""


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_running_a_bundle_leaves_no_trace_of_a_report(small_bundle, tmp_path, runtime):
    """With telemetry on, both runtimes write an identifier of the machine below the home folder."""
    if not installed(runtime):
        pytest.skip(f"{runtime} is not installed")
    homes = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR")}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | homes
    code = LOAD.format(bundle=str(small_bundle), runtime=runtime)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == runtime
    assert list(Path(tmp_path).rglob("*")) == []


def test_switching_off_is_for_children_too():
    code = (
        "from lesionlens.bundle.telemetry import switch_off; switch_off()\nimport os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
