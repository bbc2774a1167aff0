"""Write the static site of a bundle: page, network, runtime for browsers, service worker."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.bundle.bundle import Bundle, Variant, graph_files, open_bundle
from lesionlens.bundle.gate import Gate
from lesionlens.core.artifact import atomic_folder, write_json
from lesionlens.core.errors import BundleError
from lesionlens.serving.page_files import FOLDER as SERVER_PAGE
from lesionlens.site.browser_runtime import BUILDS, LICENCE, PACKAGE, VERSION, copy_runtime, fetch_archive
from lesionlens.site.facts import GATE_FILE, SELFTEST_FILE, gate_bytes, model_facts, selftest_bytes
from lesionlens.site.offline import POLICY, file_facts, write_worker
from lesionlens.site.page_text import page_text

PAGE = Path(__file__).with_name("page")
MARK = "site.json"  # marks a folder that may be replaced, and lists its files
MODEL = "model.json"
SERVER_ONLY = (
    *("index.html", "api.js", "app.js", "history.js", "remembered.js", "texts.js", "token.js"),
    *("blink.js", "body_map.js", "cases.css", "cases.js", "deletion.js", "similar.js", "subject.js", "timeline.js"),
    *("worklist.js", "tour.js", "tour.css", "install.js", "service_worker.js", "manifest.webmanifest"),
)
FRAGMENT, WORKER_SOURCE = ".html", "service_worker.js"
BROWSER_RUNTIME = "onnxruntime"
PREFERRED = "fp32"
ROUNDED = "each runtime rounds this variant differently; fp32, where the bundle has it, gives the same probabilities everywhere"


@dataclass(frozen=True)
class SiteSettings:
    """What to write.

    Attributes:
        bundle: folder of the bundle.
        out: folder of the site; replaced if it is a former site.
        variant: of the bundle; `auto` is fp32, whose results in a browser are those of every other runtime.
        runtime_archive: npm package of the runtime; None: from the cache, else from npm.
        webgpu: copy the build for graphics processors as well; browsers without one do not load it.
    """

    bundle: Path
    out: Path
    variant: str = "auto"
    runtime_archive: Path | None = None
    webgpu: bool = True


@dataclass(frozen=True)
class Site:
    """A site that was written.

    Attributes:
        path: its folder.
        content: what `site.json` says: version, bundle, variant, runtime, files with sizes and hashes.
    """

    path: Path
    content: dict[str, Any]

    @property
    def text(self) -> str:
        """For people."""
        bundle, sizes = self.content["bundle"], self.content["size_bytes"]
        runtime = self.content["runtime"]
        lines = [
            f"{self.path}: {bundle['name']} ({bundle['id'][:12]}), {bundle['variant']}, version {self.content['version']}",
            f"  network {_mb(sizes['network'])}, runtime {_mb(sizes['runtime'])}, page and facts {_mb(sizes['page'])}",
            *([f"  runtime for WebGPU, loaded only where there is one: {_mb(sizes['webgpu'])}"] if sizes["webgpu"] else []),
            *([] if bundle["variant"] == PREFERRED else [f"  {ROUNDED}"]),
            f"  {runtime['package']} {runtime['version']} ({runtime['licence']} licence, in {runtime['folder']}/LICENCE.txt)",
            f"  try it: python -m http.server -d {self.path}",
        ]
        return "\n".join(lines)


def build_site(settings: SiteSettings, archive: Path | None = None) -> Site:
    """Write the site of a bundle, whole or not at all.

    Args:
        settings: what to write.
        archive: the checked npm package; fetched or taken from `settings` if None.

    Raises:
        BundleError: if the bundle is damaged, or has no graph that a browser can run.
        DownloadError: if the runtime cannot be had.
        StorageError: if `out` holds something else than a site, or cannot be written.
    """
    bundle = open_bundle(settings.bundle)
    variant = browser_variant(bundle, settings.variant)
    archive = archive or settings.runtime_archive or fetch_archive()
    builds = ("wasm", "webgpu") if settings.webgpu else ("wasm",)
    with atomic_folder(settings.out, mark=MARK) as folder:
        copy_runtime(archive, builds, folder)
        _write_model(folder, bundle, variant, builds)
        _write_page(folder)
        content = _finish(folder, bundle, variant, builds)
    return Site(settings.out, content)


def browser_variant(bundle: Bundle, name: str = "auto") -> Variant:
    """The variant that a browser runs.

    Raises:
        BundleError: if it has no ONNX graph, or one with its weights in a second file.
    """
    names = [each for each, variant in bundle.variants.items() if BROWSER_RUNTIME in variant.graphs]
    if name == "auto":
        name = PREFERRED if PREFERRED in names else next(iter(names), bundle.default_variant)
    variant = bundle.variant(name)
    graph = variant.graphs.get(BROWSER_RUNTIME)
    if graph is None:
        raise BundleError(
            f"variant {name!r} of bundle {bundle.path} has no ONNX graph, and a browser runs nothing else; "
            + (f"choose --variant {names[0]}" if names else "export the bundle again")
        )
    if graph_files(graph, bundle.files) != (graph,):
        raise BundleError(
            f"{graph} of bundle {bundle.path} keeps its weights in a second file because it exceeds 1.9 GB; "
            "that is too large for a browser. Export a smaller network"
        )
    return variant


def _write_model(folder: Path, bundle: Bundle, variant: Variant, builds: tuple[str, ...]) -> None:
    graph = variant.graphs[BROWSER_RUNTIME]
    runtime = {
        "package": PACKAGE,
        "version": VERSION,
        "licence": LICENCE,
        "builds": {name: BUILDS[name].urls for name in builds},
    }
    shutil.copyfile(bundle.path / graph, folder / graph)
    (folder / SELFTEST_FILE).write_bytes(selftest_bytes(bundle, variant))
    gate = Gate.from_bundle(bundle)
    if gate is not None:
        (folder / GATE_FILE).write_bytes(gate_bytes(gate))
    write_json(folder / MODEL, model_facts(bundle, variant, graph, runtime))


def _write_page(folder: Path) -> None:
    """The server's page with the modules of this site in place of those that need a server."""
    for path in SERVER_PAGE.iterdir():
        if path.is_file() and path.name not in SERVER_ONLY:
            shutil.copyfile(path, folder / path.name)
    fragments = {path.stem: path.read_text(encoding="utf-8").replace("{policy}", POLICY) for path in PAGE.glob(f"*{FRAGMENT}")}
    html = page_text((SERVER_PAGE / "index.html").read_text(encoding="utf-8"), fragments)
    (folder / "index.html").write_text(html, encoding="utf-8")
    for path in PAGE.iterdir():
        if path.is_file() and path.suffix != FRAGMENT and path.name != WORKER_SOURCE:
            shutil.copyfile(path, folder / path.name)


def _finish(folder: Path, bundle: Bundle, variant: Variant, builds: tuple[str, ...]) -> dict[str, Any]:
    """Write the service worker and `site.json`, which names every file."""
    files = file_facts(folder)
    webgpu = tuple(BUILDS["webgpu"].urls.values()) if "webgpu" in builds else ()
    version = write_worker(folder, (PAGE / WORKER_SOURCE).read_text(encoding="utf-8"), files, webgpu)
    files = file_facts(folder)
    content = {
        "lesionlens": __version__,
        "version": version,
        "bundle": {"id": bundle.id, "name": bundle.name, "variant": variant.name},
        "runtime": {"package": PACKAGE, "version": VERSION, "licence": LICENCE, "folder": "onnxruntime", "builds": list(builds)},
        "licences": bundle.facts["licences"],
        "size_bytes": _sizes(files, variant.graphs[BROWSER_RUNTIME]),
        "files": files,
    }
    write_json(folder / MARK, content)
    return content


def _sizes(files: dict[str, dict[str, Any]], graph: str) -> dict[str, int]:
    """Bytes by what they are for; together, everything but `site.json`."""
    webgpu = set(BUILDS["webgpu"].urls.values())
    groups = {"network": 0, "runtime": 0, "webgpu": 0, "page": 0}
    for name, facts in files.items():
        group = "network" if name == graph else "webgpu" if name in webgpu else "runtime" if "/" in name else "page"
        groups[group] += facts["size_bytes"]
    return groups


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
