"""Counters for Prometheus, written by hand: the text format is small, and no label ever holds what a client sent."""

from __future__ import annotations

import bisect
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
STATM = Path("/proc/self/statm")


class Histogram:
    """Counts of durations in the buckets of `BUCKETS`, seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str = "") -> Iterator[str]:
        """In the text format; `labels` as inside the braces."""
        comma, braces = (",", f"{{{labels}}}") if labels else ("", "")
        sum_so_far = 0
        for bound, count in zip((*BUCKETS, float("inf")), self.counts, strict=True):
            sum_so_far += count
            yield f'{name}_bucket{{{labels}{comma}le="{"+Inf" if bound == float("inf") else bound}"}} {sum_so_far}'
        yield f"{name}_sum{braces} {self.total:.6f}"
        yield f"{name}_count{braces} {sum_so_far}"


class Metrics:
    """What is counted since the start. Used from the event loop only."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._seconds = Histogram()
        self._steps: dict[str, Histogram] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by the pattern of its address, never by the address."""
        self._requests[method if method in METHODS else "other", route or "none", status] += 1
        self._seconds.add(seconds)

    def answer(self, outcome: str, timings_ms: Mapping[str, float]) -> None:
        """Count a prediction and how long its steps took."""
        self._outcomes[outcome] += 1
        for step, ms in timings_ms.items():
            self._steps.setdefault(step, Histogram()).add(ms / 1000)

    def refusal(self, code: str) -> None:
        """Count a refusal."""
        self._refusals[code] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]], build: Mapping[str, str]) -> str:
        """All of it in Prometheus' text format.

        Args:
            gauges: explanation and value by name, as of now.
            build: labels of the metric that says what runs here.
        """
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in build.items())
        lines = [*_head("lesionlens_build_info", "gauge", "What runs here."), f"lesionlens_build_info{{{labels}}} 1"]
        lines += _head("lesionlens_requests_total", "counter", "Requests by method, route and status.")
        for (method, route, status), count in sorted(self._requests.items()):
            lines.append(f'lesionlens_requests_total{{method="{method}",route="{_escaped(route)}",status="{status}"}} {count}')
        lines += _head("lesionlens_answers_total", "counter", "Predictions by outcome.")
        lines += [f'lesionlens_answers_total{{outcome="{name}"}} {count}' for name, count in sorted(self._outcomes.items())]
        lines += _head("lesionlens_refusals_total", "counter", "Refused requests by code.")
        lines += [f'lesionlens_refusals_total{{code="{code}"}} {count}' for code, count in sorted(self._refusals.items())]
        lines += _head("lesionlens_request_seconds", "histogram", "From a request's headers to the end of its response.")
        lines += self._seconds.lines("lesionlens_request_seconds")
        lines += _head("lesionlens_step_seconds", "histogram", "Steps of predictions.")
        for step, histogram in sorted(self._steps.items()):
            lines += histogram.lines("lesionlens_step_seconds", f'step="{step}"')
        for name, (words, value) in gauges.items():
            lines += [*_head(name, "gauge", words), f"{name} {value:g}" if value < 1e6 else f"{name} {value:.0f}"]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Memory of this process (Linux; elsewhere 0)."""
    return float(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.is_file() else 0.0


def _head(name: str, kind: str, words: str) -> list[str]:
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
