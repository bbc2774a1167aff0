"""The table of `avx2.py`, for `readme.py`; it needs neither torch nor a runtime."""

from __future__ import annotations

from typing import Any

from markdown_tables import table


def text(result: dict[str, Any]) -> str:
    """The table of candidates with the machine that it was measured on."""
    here = result["machine"]
    rows = [
        [
            name,
            f"{row['median_ms']:.0f} ({row['p95_ms']:.0f})",
            f"{row['times_faster_than_pytorch_fp32']:.2f}",
            f"{row['times_faster_than_the_papers_int8']:.2f}",
            "-" if row["largest_feature_difference"] is None else f"{row['largest_feature_difference']:.1e}",
            "" if row["simulated"] or result["simulation"] is None else "no",
        ]
        for name, row in result["rows"].items()
    ]
    what = f"{result['network']}, {result['size']} px, batch 1, {result['threads']} threads: ms per image, median (p95)"
    head = [what, "ms", "times PyTorch fp32", "times the paper's int8", "largest difference of a feature", "simulated"]
    left_out = [f"Left out: {name}, because {reason}" for name, reason in result["left_out"].items()]
    variables = " ".join(f"{key}={value}" for key, value in (result["simulation"] or {}).items())
    machine = (
        f"On {here['processor']}, {here['cores']} cores, with {' '.join(here['instruction_sets'] or [])}"
        f"{f'; AVX2 simulated by {variables}' if variables else ''}. "
        f"The load average was {result['load_average']:.1f} at the end."
    )
    return "\n\n".join([table(head, rows), *left_out, machine, f"`{result['command']}`"])
