"""How large the static site is, how long it takes to load, and how fast it predicts, in a headless Chromium.

    lesionlens site BUNDLE --out site
    python benchmarks/site.py --site site --bundle BUNDLE --out benchmarks/results/site.json

The site is served by a plain host on loopback. It is opened three times: from the host (nothing stored), again from the copy
that the service worker stored, and with the host gone. Then drawn images are predicted one after the other, first on one
thread (as a plain host allows), then isolated (as the stored copy is). Median and 95th percentile of each step in
milliseconds; the same images by the Python Predictor on one and all threads stand beside them, with the largest difference
of the probabilities and the number of images that only one of the two refuses. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.bundle.runtime import Predictor
from lesionlens.core.artifact import read_json, write_json
from lesionlens.synthetic.dataset import write_synthetic

N_IMAGES, WARM_UP, SIZE = 60, 10, (600, 450)
WAIT_SECONDS = 120
STEPS = ("decode", "resize", "network", "total")
READY = "return document.getElementById('server-state')?.dataset.state === 'ready'"
STORED = "return /works without/.test(document.getElementById('offline-state').textContent)"
PREDICT = """
const [at, done] = arguments;
(async () => {
  const api = await import(new URL("api.js", document.baseURI).href);
  const file = document.getElementById("probe").files[at];
  done(await api.sendImage(file, 0, () => {}, new AbortController().signal));
})();
"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A host that prints nothing."""

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, required=True, help="site that `lesionlens site` wrote")
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle of the site")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/site.json"))
    parser.add_argument("--images", type=Path, help="folder of JPEGs, the first 60 by name; drawn ones of 600x450 if not given")
    options = parser.parse_args()
    site = read_json(options.site / "site.json")
    with tempfile.TemporaryDirectory() as folder:
        if options.images:
            images = sorted(options.images.glob("*.jpg"))[:N_IMAGES]
        else:
            images = sorted(write_synthetic(Path(folder) / "images", N_IMAGES, 0, *SIZE).rglob("HAM10000_images_part_1/*.jpg"))
        browser = in_browser(options.site, images)
        python = {str(threads): in_python(options.bundle, site["bundle"]["variant"], images, threads) for threads in (1, 0)}
    probabilities = browser.pop("probabilities")
    expected = python["1"].pop("probabilities")
    python["0"].pop("probabilities")
    result = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "site": {key: site[key] for key in ("lesionlens", "version", "bundle", "runtime", "size_bytes")},
        "transfer_bytes": transfer_bytes(options.site, site["files"]),
        "images": {"count": len(images), "drawn": options.images is None},
        **browser,
        "python": python,
        **differences(np.array(probabilities), expected),
    }
    write_json(options.out, result)
    print(json.dumps(result, indent=2))


def differences(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """How far the probabilities (N, K) are apart where both predict, and how many images only one refuses (rows of zeros)."""
    usable = found.any(1), expected.any(1)
    both = usable[0] & usable[1]
    return {
        "both_predict": int(both.sum()),
        "only_one_refuses": int((usable[0] != usable[1]).sum()),
        "largest_difference": float(np.abs(found - expected)[both].max()) if both.any() else 0.0,
    }


def transfer_bytes(site: Path, files: dict[str, Any]) -> dict[str, int]:
    """Bytes that a first visit fetches, as they are and as a host sends them that compresses (gzip, level 6)."""
    names = [name for name in files if "asyncify" not in name and "webgpu" not in name]
    return {
        "plain": sum(files[name]["size_bytes"] for name in names),
        "gzip": sum(len(gzip.compress((site / name).read_bytes(), 6)) for name in names),
    }


def in_browser(site: Path, images: list[Path]) -> dict[str, Any]:
    """Loading times in seconds, and predictions on one thread and isolated."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    driver = start_browser()
    try:
        loading = {"first_s": opened(driver, url)}
        one, values = predicted(driver, images)
        wait(driver, STORED)
        loading["stored_s"] = opened(driver, url)
        several, _ = predicted(driver, images)
        server.shutdown()
        server.server_close()
        loading["without_host_s"] = opened(driver, url)
        version = driver.capabilities["browserVersion"]
    finally:
        driver.quit()
    return {"chromium": version, "loading": loading, "first_visit": one, "stored": several, "probabilities": values}


def start_browser() -> Any:
    """A headless Chromium with nothing stored."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_script_timeout(WAIT_SECONDS)
    return driver


def opened(driver: Any, url: str) -> float:
    """Seconds until the network is ready."""
    driver.get("about:blank")
    started = time.perf_counter()
    driver.get(url)
    wait(driver, READY)
    return round(time.perf_counter() - started, 3)


def wait(driver: Any, code: str) -> None:
    """Wait until some JavaScript is true."""
    until = time.monotonic() + WAIT_SECONDS
    while not driver.execute_script(code):
        if time.monotonic() > until:
            raise SystemExit("the site is not ready: " + driver.find_element("tag name", "body").text[:500])
        time.sleep(0.01)


def predicted(driver: Any, images: list[Path]) -> tuple[dict[str, Any], list[list[float]]]:
    """Times of the steps, and the probabilities (rows of zeros where an image is not usable)."""
    probe = "const probe = document.createElement('input'); probe.type = 'file'; probe.multiple = true; probe.id = 'probe';"
    driver.execute_script(probe + "document.body.append(probe)")
    driver.find_element("id", "probe").send_keys("\n".join(map(str, images)))
    predictions = [driver.execute_async_script(PREDICT, at) for at in range(len(images))]
    times = {step: [each["timings_ms"][step] for each in predictions[WARM_UP:]] for step in STEPS}
    runtime = driver.execute_script("return [self.crossOriginIsolated, navigator.hardwareConcurrency]")
    count = max(len(each["probabilities"]) for each in predictions)
    shares = [[row["probability"] for row in each["probabilities"]] or [0.0] * count for each in predictions]
    return {"isolated": runtime[0], "cores": runtime[1], "ms": summary(times)}, shares


def in_python(bundle: Path, variant: str, images: list[Path], threads: int) -> dict[str, Any]:
    """The same by the Python Predictor on ONNX Runtime."""
    predictor = Predictor(bundle, runtime="onnxruntime", variant=variant, threads=threads)
    predictions = list(predictor.predict(images))
    times = {step: [prediction.timings_ms[step] for prediction in predictions[WARM_UP:]] for step in STEPS[:-1]}
    times["total"] = [sum(prediction.timings_ms.values()) for prediction in predictions[WARM_UP:]]
    usable = [prediction.outcome != "not_usable" for prediction in predictions]
    values = [prediction.probabilities * one for prediction, one in zip(predictions, usable, strict=True)]
    return {"ms": summary(times), "probabilities": np.array(values)}


def summary(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each step."""
    return {
        step: {"median": round(float(np.median(each)), 2), "p95": round(float(np.percentile(each, 95)), 2)}
        for step, each in times.items()
    }


if __name__ == "__main__":
    main()
