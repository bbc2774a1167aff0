"""No report to anyone: the runtimes would send usage data to their makers, and are kept from it.

`import openvino` (and NNCF) sends an event to Google Analytics, without asking, wherever the package
openvino-telemetry is installed beside it; ONNX Runtime's official builds (1.32, for one) send events to
Microsoft. On a machine with patients' images neither may happen.
"""

from __future__ import annotations

import os
import sys


def switch_off() -> None:
    """Keep OpenVINO, NNCF and ONNX Runtime from reporting, for this process and its children.

    Call it before the first import of any of them. OpenVINO and NNCF find no openvino-telemetry and
    use their own silent stub; ONNX Runtime obeys its variable ORT_DISABLE_TELEMETRY.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes an import fail
