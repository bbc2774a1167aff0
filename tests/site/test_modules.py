"""The page's modules against the Python that they repeat: resampling, outcome and sentence, colours, formats, ticks."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.site.conftest import SitePage

from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import FeatureGaussian, Gate, GateResult, PhotographScore
from lesionlens.bundle.outcome import NONE_MALIGNANT, NOT_CHECKED, SENTENCES, caution, explanation_text, outcome_of
from lesionlens.bundle.overlay import enlarge, seen_part
from lesionlens.core.labels import HAM10000
from lesionlens.core.percent import percent
from lesionlens.core.seeds import generator
from lesionlens.data.formats import STARTS, format_of
from lesionlens.data.image import InputSpec, prepare
from lesionlens.serving.pictures import map_png
from lesionlens.site.facts import gate_bytes, gate_facts, map_facts

pytestmark = pytest.mark.slow
MEAN = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def page(small_site: Path) -> Iterator[Callable[..., Any]]:
    """Runs code with a module of the page: `page("resize.js", "return m.coefficients(...)", argument)`."""
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    opened = SitePage()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(small_site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened.driver.get(f"http://127.0.0.1:{server.server_address[1]}/site.css")  # an origin without the page itself

    def run(module: str, code: str, argument: Any) -> Any:
        script = f"""const done = arguments[1], input = JSON.parse(arguments[0]);
            (async () => {{ const m = await import(new URL("/{module}", location).href); {code} }})()
            .then((value) => done(JSON.stringify(value)), (error) => done(JSON.stringify({{ error: String(error.stack) }})));"""
        return json.loads(opened.driver.execute_async_script(script, json.dumps(argument)))

    yield run
    opened.driver.quit()
    server.shutdown()
    server.server_close()


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"


def test_resampling_is_pillows_to_the_last_level(page: Callable[..., Any]):
    random = generator(3, "resize")
    cases, expected = [], []
    for number in range(60):
        width, height = (int(side) for side in random.integers(8, 400, 2))
        rule, frame = ("squash", "short_side")[number % 2], int(random.choice([32, 64, 192]))
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected.append(prepare(Image.fromarray(pixels), InputSpec(frame, frame, rule, MEAN, MEAN)))
        rgba = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        cases.append({"width": width, "height": height, "resize": rule, "frame": frame, "pixels": packed(rgba)})
    code = f"""{BYTES} return input.map((each) => {{
        const {{ width, height, frame, resize }} = each, pixels = bytes(each.pixels);
        const resizer = new m.Resizer(width, height, m.frameBox({{ resize }}, width, height), frame);
        for (let row = 0; row < height; row += 37) {{
            const count = Math.min(37, height - row);
            resizer.add(pixels.subarray(row * width * 4, (row + count) * width * 4), row, count);
        }}
        return [...resizer.finish()]; }});"""
    found = page("resize.js", code, cases)
    wrong = [
        (case["width"], case["height"], case["resize"], case["frame"])
        for case, one, other in zip(cases, found, expected, strict=True)
        if np.abs(np.array(one).reshape(other.shape) - other.astype(int)).max() > 0
    ]
    assert wrong == []


def test_the_centre_is_cut_as_in_python(page: Callable[..., Any]):
    pixels = np.arange(7 * 7 * 3, dtype=np.uint8).reshape(7, 7, 3)
    found = page("resize.js", f"{BYTES} return [...m.centreCrop(bytes(input), 7, 4)]", packed(pixels))
    assert found == pixels[1:5, 1:5].ravel().tolist()


def decisions() -> dict[str, Decision | None]:
    return {
        "none": None,
        "no threshold": Decision((), 0.95, None, "nothing is malignant"),
        "melanoma": Decision(("mel",), 0.95, 0.07),
        "malignant": Decision(("akiec", "bcc", "mel"), 0.9, 0.2),
    }


@pytest.mark.parametrize("name", decisions())
def test_outcome_and_sentence_are_pythons(page: Callable[..., Any], name: str):
    decision = decisions()[name]
    random = generator(4, "outcome", name)
    cases = random.dirichlet(np.full(7, 0.3), 200).astype(np.float32)
    cases[0] = [0, 0, 0, 0, 0.07, 0.93, 0]  # the threshold itself
    results = [GateResult(True, (), {"sharpness": 3.0}), GateResult(False, ("blurred", "too_dark"), {"sharpness": 1.0}), None]
    gates = [results[number % 3] for number in range(len(cases))]
    model = {
        "about": {"labels": HAM10000.to_json()["diagnoses"]},
        "decision": None if decision is None else {**decision.to_json(), "name": decision.name},
        "sentences": {**SENTENCES, "none_malignant": NONE_MALIGNANT, "not_checked": NOT_CHECKED, "caution": caution(decision)},
    }
    given = [[case.astype(float).tolist(), gate and gate.to_json()] for case, gate in zip(cases, gates, strict=True)]
    code = """return input.given.map(([values, gate]) => [m.outcomeOf(input.model, Float32Array.from(values), gate),
        m.explanationOf(input.model, Float32Array.from(values), gate)])"""
    found = page("outcome.js", code, {"model": model, "given": given})
    expected = [
        [make(case, HAM10000, gate, decision) for make in (outcome_of, explanation_text)]
        for case, gate in zip(cases, gates, strict=True)
    ]
    assert found == expected
    assert len({outcome for outcome, _ in found}) == (2 if name in ("none", "no threshold") else 3)


@pytest.mark.parametrize("with_photographs", [True, False])
def test_the_image_check_is_pythons(page: Callable[..., Any], with_photographs: bool):
    random = generator(6, "gate")
    directions = np.linalg.qr(random.normal(size=(40, 5)))[0].astype(np.float32)
    gaussian = FeatureGaussian(
        random.normal(0, 0.1, 40).astype(np.float32), directions, random.uniform(0.05, 0.3, 5).astype(np.float32), 0.04
    )
    thresholds = {"too_small": 90, "blurred": 40, "too_dark": 60, "too_bright": 190, "clipped": 0.004, "not_dermoscopic": 700}
    thresholds |= {"no_dermatoscope": 0.4} if with_photographs else {}
    photographs = PhotographScore(random.normal(0, 1, 40).astype(np.float32), 0.1) if with_photographs else None
    gate = Gate(gaussian, {code: float(value) for code, value in thresholds.items()}, photographs)
    given, expected = [], []
    for number in range(24):
        level, spread = random.uniform(20, 250), random.uniform(1, 20)
        pixels = random.normal(level, spread, (16, 16, 3)).clip(0, 255).astype(np.uint8)
        features = (random.normal(size=40) * 10.0 ** random.integers(-3, 20) * (number > 0)).astype(np.float32)  # first: zeros
        size = (int(random.integers(40, 200)), int(random.integers(40, 200)))
        expected.append(gate.check(size, pixels, features))
        given.append([*size, packed(pixels), features.astype(float).tolist()])
    code = f"""{BYTES} const gate = new m.Gate(input.facts, bytes(input.arrays));
        return input.given.map(([width, height, pixels, features]) =>
            gate.check(width, height, bytes(pixels), 16, Float32Array.from(features)));"""
    arrays = base64.b64encode(gate_bytes(gate)).decode()
    found = page("gate.js", code, {"facts": gate_facts(gate), "arrays": arrays, "given": given})
    for one, other in zip(found, expected, strict=True):
        assert one["measures"] == pytest.approx(other.measures, rel=1e-4)
        assert {"usable": one["usable"], "reasons": one["reasons"]} == {
            key: other.to_json()[key] for key in ("usable", "reasons")
        }
    assert {code for result in expected for code in result.reasons} == set(thresholds)  # every reason was tried
    assert any(result.usable for result in expected)


@pytest.mark.parametrize(("rule", "size", "frame"), [("squash", 64, 72), ("short_side", 64, 64), ("short_side", 60, 72)])
def test_heat_maps_are_pythons(page: Callable[..., Any], rule: str, size: int, frame: int):
    spec = InputSpec(size, frame, rule, MEAN, MEAN)
    map_ = generator(5, "map").random((6, 5)).astype(np.float32) ** 3
    for width, height in ((301, 200), (90, 133)):
        limit = 0.8
        code = """const [width, height] = m.fitted(input.width, input.height, 1024);
            const values = m.spread(Float32Array.from(input.map), [6, 5], input.spec, width, height);
            return [width, height, [...m.colourise(values, input.limit, input.facts)]]"""
        given = {"map": map_.ravel().tolist(), "spec": spec.to_json(), "facts": map_facts(), "limit": limit}
        found_width, found_height, found = page("heat_map.js", code, {**given, "width": width, "height": height})
        expected = np.asarray(map_png(map_, seen_part(spec, (width, height)), (width, height), limit)).astype(int)
        assert (found_width, found_height) == (expected.shape[1], expected.shape[0])
        found = np.array(found).reshape(expected.shape)
        assert np.abs(found[..., 3] - expected[..., 3]).max() <= 1
        assert np.abs(found - expected)[expected[..., 3] > 0].max() <= 3  # one place of the colour table


@pytest.mark.parametrize(("rule", "size", "frame"), [("squash", 64, 72), ("short_side", 60, 72), ("short_side", 64, 64)])
def test_the_part_that_a_map_covers_is_pythons(page: Callable[..., Any], rule: str, size: int, frame: int):
    spec = InputSpec(size, frame, rule, MEAN, MEAN)
    shapes = [(301, 200), (90, 133), (64, 64)]
    code = "return input.shapes.map(([width, height]) => m.seenPart(input.spec, width, height))"
    found = page("heat_map.js", code, {"spec": spec.to_json(), "shapes": shapes})
    assert found == [pytest.approx(seen_part(spec, shape)) for shape in shapes]


def test_the_values_of_a_map(page: Callable[..., Any]):
    maps = generator(7, "maps").random((2, 3, 4)).astype(np.float32)
    spec = InputSpec(64, 64, "squash", MEAN, MEAN)
    model = {"outputs": {"maps": [2, 3, 4]}, "about": {"input": spec.to_json()}}
    code = "return m.mapFacts(input.model, Float32Array.from(input.maps), 1, 300, 200)"
    found = page("heat_map.js", code, {"model": model, "maps": maps.ravel().tolist()})
    assert np.allclose(found["values"], maps[1])
    assert found["limit"] == pytest.approx(float(maps.max()))
    assert found["part"] == [0, 0, 1, 1]


def test_contours_are_where_the_drawn_map_has_their_level(page: Callable[..., Any]):
    """Each end of each segment has the level in the map as Python enlarges it, and each level has its segments."""
    map_ = generator(8, "contours").random((6, 5)).astype(np.float32)
    zoom = 64
    large = enlarge(map_, 5 * zoom, 6 * zoom)
    for level in (0.25, 0.5, 0.75):
        found = np.array(page("contours.js", "return m.segments(input.map, input.level)", {"map": map_.tolist(), "level": level}))
        assert len(found) > 20
        ends = found.reshape(-1, 2)
        columns, rows = (np.clip((ends * zoom).astype(int), 0, np.array(large.shape)[::-1] - 1)).T
        assert np.abs(large[rows, columns] - level).max() < 0.03  # the steepest slope is 1 a cell: 1/64 a pixel, and 1/8 a step
        lengths = np.hypot(*(found[:, 2:] - found[:, :2]).T)
        assert lengths.max() <= np.sqrt(2) / 8 + 1e-9


def test_a_contour_parts_what_is_above_from_what_is_below(page: Callable[..., Any]):
    """By hand: one hot cell among cold ones has a closed line around it, 0.6 cells away from its middle along the axes."""
    map_ = np.zeros((3, 3))
    map_[1, 1] = 1
    found = np.array(page("contours.js", "return m.segments(input, 0.4)", map_.tolist()))
    ends = found.reshape(-1, 2)
    assert (ends[:, 0].min(), ends[:, 0].max()) == pytest.approx((0.9, 2.1))
    assert (ends[:, 1].min(), ends[:, 1].max()) == pytest.approx((0.9, 2.1))
    rounded = [tuple(end) for end in ends.round(6).tolist()]
    assert all(rounded.count(end) == 2 for end in rounded)  # closed: every end meets another


def test_percentages_are_pythons(page: Callable[..., Any]):
    shares = [0.0, 1.0, 0.0625, 0.9994999, 0.9995, 0.0005, *generator(9, "percent").random(300).tolist()]
    found = page("format.js", "return input.map((share) => [m.percent(share), m.percent(share, 2)])", shares)
    assert [[text.replace("\u202f", " ") for text in pair] for pair in found] == [
        [percent(share), percent(share, 2)] for share in shares
    ]


def test_formats_are_told_as_in_python(page: Callable[..., Any]):
    heads = [start + b"\0" * 600 for start in STARTS]
    heads += [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", b"RIFF\0\0\0\0WEBPVP8 "]
    heads += [b"image,diagnosis\n", b"\0" * 128 + b"DICM" + b"\0" * 100, b"%PDF-1.7", b"<svg xmlns='x'/>"]
    given = [base64.b64encode(head).decode() for head in heads]
    found = page("formats.js", f"{BYTES} return input.map((head) => m.formatOf(bytes(head)))", given)
    assert found == [format_of(head[:512]) for head in heads]
