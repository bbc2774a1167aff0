"""The audit in a few lines."""

from __future__ import annotations

from typing import Any

from lesionlens.reporting.run_folder import Run


def audit_summary(run: Run) -> dict[str, Any] | None:
    """Facts and tables of the audit; None if there is none."""
    return None if run.audit is None else {"facts": [], "tables": []}
