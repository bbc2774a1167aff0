"""Load on a real server on loopback, against the bare Predictor on the same bundle and cores.

    python benchmarks/serving.py --bundle BUNDLE [--seconds 60] [--rounds 3] [--record postgresql]

Rounds alternate: the bare Predictor alone, then the server under `--clients` connections that each send
the next image as soon as the last response is complete. The clients are one lean process of raw sockets and
share the cores with the server. Memory (PSS of the server and its decoders) is sampled each second of the load. Then the
server is killed (SIGKILL) under load and started again, and every response that a client
received completely must be in the record. With `--record postgresql` the record is in a PostgreSQL cluster that this script
starts on the same cores, with PostgreSQL's own settings; its processor time and memory are not in the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.benchmark import machine, versions
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.artifact import write_json
from lesionlens.serving.database_url import DatabaseUrl, Place, read_record
from lesionlens.serving.record import open_record
from lesionlens.synthetic.dataset import write_synthetic
from load_client import N_IMAGES, load, photographs
from postgresql_cluster import Cluster
from source_version import commit

TICK = os.sysconf("SC_CLK_TCK")
GOAL = 0.9
WARM_SECONDS = 3.0
START_SECONDS = 120


def bare(bundle: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Images per second of the Predictor alone, over file contents that are in memory."""
    predictor = Predictor(
        bundle, variant=options.variant, threads=options.threads, batch_size=options.batch_size, workers=options.decoders
    )
    files = photographs(folder)
    list(predictor.predict(islice(cycle(files), 32)))
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    until = start + options.bare_seconds
    for _ in predictor.predict(_until(cycle(files), until)):
        count += 1
    seconds = time.perf_counter() - start
    return {"images_per_s": count / seconds, "cpu_ms_per_image": 1000 * (time.process_time() - cpu) / count}


def _until(files: Iterator[bytes], until: float) -> Iterator[bytes]:
    while time.perf_counter() < until:
        yield next(files)


class Served:
    """A server in a process of its own."""

    def __init__(self, options: argparse.Namespace, record: Place, work: Path) -> None:
        place = record.full if isinstance(record, DatabaseUrl) else str(record)
        command = [sys.executable, "-m", "lesionlens", "serve", str(options.bundle), "--record", place, "--port", "0"]
        command += ["--threads", str(options.threads), "--batch-size", str(options.batch_size), "--variant", options.variant]
        command += ["--decoders", str(options.decoders), "--streams", str(options.streams), *options.serve]
        self.log = work / f"server-{time.monotonic_ns()}.log"
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(command, stderr=stream)
        until = time.monotonic() + START_SECONDS
        while not (found := re.search(r"listening on (http://\S+)", self.log.read_text())):
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit(self.log.read_text())
            time.sleep(0.1)
        self.url = found[1]

    def family(self) -> list[int]:
        """The server and its decoders."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *(int(child) for child in path.read_text().split())]

    def memory_mib(self) -> float:
        """Memory of the family, what is shared counted once."""
        rollups = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in self.family()]
        return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) for text in rollups) / 1024  # type: ignore[index]

    def cpu_s(self) -> float:
        """Processor time of the family so far."""
        times = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in self.family()]
        return sum(int(time_[11]) + int(time_[12]) for time_ in times) / TICK

    def end(self, sign: int = signal.SIGTERM) -> None:
        """End the server."""
        self.process.send_signal(sign)
        self.process.wait(60)


@contextmanager
def sampled(served: Served) -> Iterator[list[tuple[float, float]]]:
    """Memory of the server each second: (seconds, MiB)."""
    samples: list[tuple[float, float]] = []
    stop = threading.Event()
    start = time.monotonic()

    def sample() -> None:
        while not stop.wait(1.0):
            samples.append((time.monotonic() - start, served.memory_mib()))

    thread = threading.Thread(target=sample)
    thread.start()
    yield samples
    stop.set()
    thread.join()


def drive(served: Served, folder: Path, options: argparse.Namespace, seconds: float) -> subprocess.Popen[str]:
    """The clients, in a process of their own."""
    command = [sys.executable, __file__, "--load", served.url, "--images", str(folder), "--clients", str(options.clients)]
    return subprocess.Popen([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)


def under_load(served: Served, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One round of load: rate, latency, statuses, memory."""
    drive(served, folder, options, WARM_SECONDS).communicate()
    cpu = served.cpu_s()
    with sampled(served) as memory:
        found = json.loads(drive(served, folder, options, options.seconds).communicate()[0])
    count = len(found["latency_ms"])
    quantiles = np.quantile(found["latency_ms"], (0.5, 0.95, 0.99))
    return {
        "images_per_s": count / found["seconds"],
        "cpu_ms_per_image": 1000 * (served.cpu_s() - cpu) / count,
        "client_cpu_ms_per_image": 1000 * found["client_cpu_s"] / count,
        "latency_ms": dict(zip(("p50", "p95", "p99"), map(float, quantiles), strict=True)),
        "statuses": found["statuses"],
        "broken_connections": found["broken"],
        "memory": memory_facts(memory),
        "ids": found["ids"],
    }


def memory_facts(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Level, slope and spread of memory after the first third, in which caches fill."""
    late = np.array(samples[len(samples) // 3 :])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) > 2 else 0.0
    return {
        "mean_mib": float(late[:, 1].mean()),
        "slope_mib_per_min": 60 * slope,
        "spread_mib": float(np.ptp(late[:, 1])),
        "samples": len(late),
    }


def killed(options: argparse.Namespace, folder: Path, record: Place, work: Path) -> dict[str, Any]:
    """Kill the server under load, start it again, and check that every acknowledged prediction is recorded."""
    served = Served(options, record, work)
    client = drive(served, folder, options, 600)
    time.sleep(options.kill_after)
    served.end(signal.SIGKILL)
    ids = json.loads(client.communicate()[0])["ids"]
    again = Served(options, record, work)
    missing = set(ids) - recorded(record)
    again.end()
    return {"acknowledged": len(ids), "missing": len(missing), "after_s": options.kill_after}


def recorded(record: Place) -> set[str]:
    with closing(open_record(record, read_only=True)) as connection:
        return {row[0] for row in connection.execute("SELECT a.id FROM answers a JOIN payloads p ON p.id = a.id")}


@contextmanager
def new_records(kind: str, work: Path) -> Iterator[Callable[[str], Place]]:
    """What makes a place for a record by its name: in files, or in a cluster that is removed at the end."""
    if kind == "sqlite":
        yield lambda name: work / f"{name}.sqlite"
        return
    cluster = Cluster()
    try:
        yield lambda name: read_record(cluster.database())
    finally:
        cluster.remove()


def alternate(options: argparse.Namespace, folder: Path, record: Place, work: Path) -> dict[str, Any]:
    """Rounds of the bare Predictor and the server, one after the other."""
    alone, served_rounds = [], []
    served = Served(options, record, work)
    for _ in range(options.rounds):
        command = [sys.executable, *sys.argv, "--bare", "--images", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        alone.append(json.loads(done.stdout))
        served_rounds.append(under_load(served, folder, options))
    served.end()
    ids = [id_ for found in served_rounds for id_ in found.pop("ids")]
    statuses: Counter[str] = Counter()
    for found in served_rounds:
        statuses.update(found["statuses"])
    shares = [one["images_per_s"] / two["images_per_s"] for one, two in zip(served_rounds, alone, strict=True)]
    return {
        "bare": alone,
        "served": served_rounds,
        "share_of_bare": {"median": float(np.median(shares)), "rounds": shares, "goal": GOAL},
        "statuses": dict(statuses),
        "other_errors": sum(count for kind, count in statuses.items() if kind not in ("201", "503 with Retry-After")),
        "acknowledged": len(ids),
        "missing": len(set(ids) - recorded(record)),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = options.images or write_synthetic(work / "images", n_images=N_IMAGES, width=600, height=450)
        facts = json.loads((options.bundle / "bundle.json").read_text(encoding="utf-8"))
        result = {
            "bundle": {"id": facts["id"], "name": facts["name"], "input": facts["input"]["size"]},
            "network": facts["origin"]["recipe"]["model"]["name"],
            "variant": facts["default_variant"] if options.variant == "auto" else options.variant,
            "images": "600x450 JPEG, synthetic" if options.images is None else str(options.images.name),
            "image_bytes": float(np.mean([len(data) for data in photographs(folder)])),
            "clients": options.clients,
            "seconds": options.seconds,
            **{name: getattr(options, name) for name in ("record", "rounds", "threads", "batch_size", "decoders", "streams")},
        }
        with new_records(options.record, work) as new_record:
            result |= alternate(options, folder, new_record("record"), work)
            result["kill_9"] = killed(options, folder, new_record("killed"), work)
    command = f"python benchmarks/serving.py --bundle BUNDLE --seconds {options.seconds:g} --rounds {options.rounds}"
    command += "" if options.record == "sqlite" else f" --record {options.record}"
    return {**result, "command": command, "machine": machine(), "versions": versions(), "commit": commit()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--variant", default="auto")
    parser.add_argument("--images", type=Path, help="folder of JPEGs; synthetic ones of 600x450 if not given")
    parser.add_argument("--record", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60, help="of load in each round")
    parser.add_argument("--bare-seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill-after", type=float, default=8)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--streams", type=int, default=1, help="of the server; the bare Predictor makes one pass at a time")
    parser.add_argument("--decoders", type=int, default=2)
    parser.add_argument("--serve", nargs=argparse.REMAINDER, default=[], help="further options of lesionlens serve; last")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--name", help="where several bundles share the results; the network's name if not given")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving.json"))
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.load:
        print(json.dumps(load(options.load, options.images, options.clients, options.seconds)))
    elif options.bare:
        print(json.dumps(bare(options.bundle, options.images, options)))
    else:
        found = measure(options)
        print(json.dumps(found, indent=2))
        before = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {"bundles": {}}
        record = "" if options.record == "sqlite" else ", PostgreSQL"
        name = options.name or f"{found['network']} {found['bundle']['input']} px, {found['variant']}{record}"
        write_json(options.out, {"bundles": {**before["bundles"], name: found}})


if __name__ == "__main__":
    main()
