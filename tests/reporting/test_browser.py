"""The report in a real browser, on a narrow screen."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lesionlens.reporting.report import write_report

pytestmark = pytest.mark.slow

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
QUIET = (
    "--headless --no-sandbox --disable-gpu --hide-scrollbars --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
FRAME = """<!DOCTYPE html><body><iframe src="report.html" style="border:0;width:{width}px;height:4000px"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const beyond = e => e.getBoundingClientRect().right > root.clientWidth + 1;
  const over = [...page.body.querySelectorAll("*")].filter(e => !e.closest(".scroll, svg") && beyond(e));
  const small = [...page.querySelectorAll("svg text")].filter(e => {{
    const drawn = e.ownerSVGElement, scale = drawn.getBoundingClientRect().width / drawn.viewBox.baseVal.width;
    return parseFloat(frame.contentWindow.getComputedStyle(e).fontSize) * scale < 9;
  }});
  document.body.dataset.width = root.scrollWidth;
  document.body.dataset.over = over.map(e => e.tagName + "." + e.className).join(" ");
  document.body.dataset.small = small.length;
  document.body.dataset.broken = [...page.images].filter(i => !i.naturalWidth).length;
}};
</script></body>"""


class Recorder(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *words):
        pass


@pytest.fixture
def site(tmp_path: Path, finished_run: Path) -> Iterator[tuple[Path, str, list[str]]]:
    write_report(finished_run, tmp_path / "report.html")
    asked: list[str] = []
    handler = type("Handler", (Recorder,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the report with")
@pytest.mark.parametrize("width", [320, 390])
def test_the_report_fits_a_phone_and_asks_for_nothing(site, tmp_path, width):
    folder, address, asked = site
    (folder / "frame.html").write_text(FRAME.format(width=width))
    command = [CHROMIUM, *QUIET.split(), "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*command, f"{address}/frame.html"], capture_output=True, text=True, timeout=60, check=True)
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', done.stdout))
    assert found == {"width": str(width), "over": "", "small": "0", "broken": "0"}
    assert "CONSOLE" not in done.stderr
    assert sorted(set(asked) - {"/favicon.ico"}) == ["/frame.html", "/report.html"]
