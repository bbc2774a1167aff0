"""The API as a whole, on a real server."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle.runtime import Predictor
from lesionlens.serving.schemas import Health, HeatMap, ModelInfo, Prediction, PredictionPage, ProblemDetails

HTML = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(scope="module")
def server(either_server):
    """With either record."""
    return either_server


@pytest.fixture(scope="module")
def made(server, lesion_image):
    """One answer, and the image that it is of."""
    data = lesion_image(1)
    return server.predict(data, name="spot.jpg").json(), data


def refused(response, status, code):
    problem = ProblemDetails.model_validate_json(response.content)
    assert (response.status_code, problem.code, problem.status) == (status, code, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem.request_id == response.headers["x-request-id"]
    return problem


def test_an_image_gets_an_answer_that_can_be_read_again(server, lesion_image):
    done = server.predict(lesion_image(2), name="spot.jpg")
    assert done.status_code == 201
    answer = Prediction.model_validate_json(done.content)
    assert (answer.file_name, answer.image.width, answer.image.height, answer.image.frames) == ("spot.jpg", 96, 72, 1)
    assert answer.request_id == done.headers["x-request-id"]
    assert done.headers["location"] == f"predictions/{answer.id}"  # relative: below any path of a proxy
    assert server.client.get(done.url.join(done.headers["location"])).json() == done.json()


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "application/octet-stream"), ("PNG", None)],
)
def test_an_image_may_be_the_body(server, lesion_image, form, media_type):
    headers = {"Content-Disposition": 'attachment; filename="a b.x"'} | ({"Content-Type": media_type} if media_type else {})
    done = server.client.post("/v1/predictions", content=lesion_image(3, form=form), headers=headers)
    assert done.status_code == 201
    assert done.json()["file_name"] == "a b.x"


def test_many_at_once_get_what_the_predictor_says(server, lesion_image, small_bundle):
    images = [lesion_image(seed, size=(80 + 7 * seed, 70)) for seed in range(12)]
    wanted = list(Predictor(small_bundle, threads=1).predict(images))
    with ThreadPoolExecutor(12) as pool:
        answers = [done.json() for done in pool.map(server.predict, images)]
    for answer, prediction in zip(answers, wanted, strict=True):
        found = {row["code"]: row["probability"] for row in answer["probabilities"]}
        expected = {} if prediction.outcome == "not_usable" else prediction.by_code
        assert found == pytest.approx(expected, abs=1e-5)
        assert (answer["outcome"], answer["explanation"]) == (prediction.outcome, prediction.explanation)
    assert len({answer["id"] for answer in answers}) == 12


def test_the_client_may_name_its_request(server, lesion_image):
    done = server.predict(lesion_image(4), headers={"X-Request-ID": "case-17.a"})
    assert done.headers["x-request-id"] == done.json()["request_id"] == "case-17.a"
    other = server.client.get("/healthz", headers={"X-Request-ID": "a b;<script>"})
    assert re.fullmatch("[0-9a-f]{16}", other.headers["x-request-id"])


def test_a_map_alone_has_the_shape_of_the_image_and_is_transparent_where_cold(server, made):
    answer, _ = made
    code = answer["maps"]["codes"][0]
    done = server.client.get(f"/v1/predictions/{answer['id']}/maps/{code}.png")
    picture = Image.open(io.BytesIO(done.content))
    assert (done.headers["content-type"], picture.mode, picture.size) == ("image/png", "RGBA", (96, 72))
    assert float(done.headers["x-map-limit"]) > 0


def test_an_overlay_is_the_image_with_its_map(server, made):
    answer, _ = made
    done = server.client.get(f"/v1/predictions/{answer['id']}/maps/{answer['maps']['codes'][0]}.png?style=overlay")
    assert done.status_code == 200
    assert min(Image.open(io.BytesIO(done.content)).size) >= 320  # framed, with title and colour bar


def test_the_values_of_a_map_are_those_that_are_drawn(server, made):
    answer, _ = made
    code = answer["maps"]["codes"][0]
    address = f"/v1/predictions/{answer['id']}/maps/{code}"
    map_ = HeatMap.model_validate_json(server.client.get(f"{address}.json").content)
    drawn = server.client.get(f"{address}.png")
    left, top, width, height = map_.part
    assert (map_.code, width, height) == (code, pytest.approx(64 / 72), pytest.approx(64 / 72))  # its input is cut out of a frame
    assert map_.limit == pytest.approx(float(drawn.headers["x-map-limit"]), abs=1e-5)
    values = np.array(map_.values)
    assert values.ndim == 2
    assert 0 < values.max() <= map_.limit + 1e-5
    alpha = np.asarray(Image.open(io.BytesIO(drawn.content)))[..., 3]
    row, column = np.unravel_index(values.argmax(), values.shape)
    y = int((top + height * (row + 0.5) / values.shape[0]) * alpha.shape[0])
    x = int((left + width * (column + 0.5) / values.shape[1]) * alpha.shape[1])
    assert alpha[y, x] >= 0.95 * alpha.max() > 0  # the middle of the hottest cell is drawn as strongly as anything


@pytest.mark.parametrize("form", ["TIFF", "PNG"])
def test_the_image_alone(server, lesion_image, form):
    data = lesion_image(7, size=(200, 120), form=form)
    id_ = server.predict(data).json()["id"]
    done = server.client.get(f"/v1/predictions/{id_}/image.png")
    assert done.headers["content-type"] == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(done.content))) == np.asarray(Image.open(io.BytesIO(data)))).all()
    small = server.client.get(f"/v1/predictions/{id_}/image.png", params={"side": 50})
    assert Image.open(io.BytesIO(small.content)).size == (50, 30)
    refused(server.client.get(f"/v1/predictions/{id_}/image.png", params={"side": 5000}), 422, "invalid_parameter")
    refused(server.client.get("/v1/predictions/01M82VDBJZ10K4N0HN98RYPJT5/image.png"), 404, "prediction_not_found")


def test_the_scale_of_a_dicom_object(server, lesion_image):
    pytest.importorskip("pydicom")
    from tests.data.dicom_files import picture, plain

    image = server.predict(plain(picture(72, 96), PixelSpacing=["0.05", "0.04"]), name="case.dcm").json()["image"]
    assert image["pixel_spacing_mm"] == [0.05, 0.04]
    assert server.predict(lesion_image(8)).json()["image"]["pixel_spacing_mm"] is None


def test_maps_that_are_not_there(server, made):
    answer, _ = made
    refused(server.client.get(f"/v1/predictions/{answer['id']}/maps/xyz.json"), 404, "map_not_found")
    refused(server.client.get(f"/v1/predictions/{answer['id']}/maps/xyz.png"), 404, "map_not_found")
    refused(server.client.get(f"/v1/predictions/{answer['id']}/maps/mel.png?style=other"), 422, "invalid_parameter")
    refused(server.client.get("/v1/predictions/01M82VDBJZ10K4N0HN98RYPJT5/maps/mel.png"), 404, "prediction_not_found")


def test_a_review_shows_with_its_answer(server, lesion_image):
    made = server.predict(lesion_image(5))
    location = made.url.join(made.headers["location"])
    note = "<script>alert(1)</script>\n'; DROP TABLE answers; --"
    done = server.client.post(f"{location}/review", json={"conclusion": "other", "note": note + "\x00\x1b"})
    assert done.url.join(done.headers["location"]) == location
    assert (done.status_code, done.json()["note"], done.json()["reviewer"]) == (201, note, "local")
    assert server.client.get(location).json()["review"] == done.json()
    found = server.client.get("/v1/predictions", params={"reviewed": True, "q": "drop table"}).json()["items"]
    assert [f"/v1/predictions/{row['id']}" for row in found] == [location.path]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b'{"conclusion": "nonsense"}', "application/json", 422, "invalid_parameter"),
        (b'{"conclusion": "other", "x": 1}', "application/json", 422, "invalid_parameter"),
        (b'{"conclusion": "other", "note": "\\ud800"}', "application/json", 422, "invalid_parameter"),
        (b'{"conclusion": "other", "note": "' + b"x" * 5000 + b'"}', "application/json", 422, "invalid_parameter"),
        (b"[" * 50_000, "application/json", 422, "invalid_parameter"),
        (b"\xff", "application/json", 422, "invalid_parameter"),
        (b"x" * 100_000, "application/json", 413, "upload_too_large"),
        (b'{"conclusion": "other"}', "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_reviews_that_are_none(server, made, content, media_type, status, code):
    address = f"/v1/predictions/{made[0]['id']}/review"
    refused(server.client.post(address, content=content, headers={"Content-Type": media_type}), status, code)


def test_names_are_text(server, lesion_image):
    done = server.predict(lesion_image(6), name=HTML)
    assert done.json()["file_name"] == HTML
    assert done.headers["content-type"] == "application/json"
    assert done.headers["x-content-type-options"] == "nosniff"
    row = server.client.get("/v1/predictions", params={"q": HTML}).json()["items"][0]
    assert row["file_name"] == HTML


def test_pages_of_the_history(server, lesion_image):
    for seed in range(3):
        server.predict(lesion_image(7 + seed), name=f"paged-{seed}.jpg")
    whole = server.client.get("/v1/predictions", params={"q": "paged-"}).json()
    PredictionPage.model_validate(whole)
    assert whole["next"] is None
    collected, cursor = [], ""
    while cursor is not None:
        page = server.client.get("/v1/predictions", params={"q": "paged-", "limit": 1, "cursor": cursor}).json()
        collected += page["items"]
        cursor = page["next"]
    assert collected == whole["items"]
    assert [row["file_name"] for row in collected] == ["paged-2.jpg", "paged-1.jpg", "paged-0.jpg"]


def test_history_as_a_table_that_holds_no_formulas(server, lesion_image):
    server.predict(lesion_image(10), name="=cmd.jpg")
    for options in ({"params": {"q": "=cmd", "format": "csv"}}, {"params": {"q": "=cmd"}, "headers": {"Accept": "text/csv"}}):
        done = server.client.get("/v1/predictions", **options)
        assert done.headers["content-type"].startswith("text/csv")
        assert "attachment" in done.headers["content-disposition"]
        assert [row["file_name"] for row in csv.DictReader(io.StringIO(done.text))] == ["'=cmd.jpg"]
    limited = server.client.get("/v1/predictions", params={"format": "csv", "limit": 1})
    assert len(list(csv.DictReader(io.StringIO(limited.text)))) == 1


@pytest.mark.parametrize(
    "trick", ["' OR '1'='1", "1; DROP TABLE answers", "%", "\x00", "😀", "../../etc/passwd", "{{7*7}}", "%2e%2e%2f"]
)
def test_tricks_in_ids_and_filters(server, made, trick):
    client = server.client
    refused(client.get("/v1/predictions/" + "".join(f"%{byte:02x}" for byte in trick.encode())), 404, code_of_path(trick))
    searched = client.get("/v1/predictions", params={"q": trick})
    assert searched.status_code == 422 if trick == "\x00" else searched.json()["items"] == []
    for name in ("diagnosis", "outcome", "since", "cursor", "reviewed", "limit", "format"):
        refused(client.get("/v1/predictions", params={name: trick}), 422, "invalid_parameter")
    assert client.get(f"/v1/predictions/{made[0]['id']}").status_code == 200


@pytest.mark.parametrize(("moment", "status"), [("12", 422), ("2026-11-22", 200), ("2026-11-22T20:00:00Z", 200)])
def test_moments_are_dates_and_no_bare_numbers(server, made, moment, status):
    for name in ("since", "until"):
        assert server.client.get("/v1/predictions", params={name: moment}).status_code == status


def code_of_path(trick):
    return "not_found" if "/" in trick else "prediction_not_found"


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", "....//app.py", "page/app.js", "%00", "app.py", "..%5capp.py"])
def test_only_the_files_of_the_page_are_served(server, name):
    refused(server.client.get(f"/{name}"), 404, "not_found")


def test_the_page_asks_nobody_else(server):
    done = server.client.get("/")
    assert done.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", done.text)
    assert "<script>" not in done.text
    assert "style=" not in done.text
    for name in re.findall(r'(?:src|href)="([^"#]+)"', done.text):
        assert server.client.get(name).status_code == 200
    again = server.client.get("/", headers={"If-None-Match": done.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("/docs", "/redoc"):
        refused(server.client.get(name), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/v1/model", "/nothing", "/metrics", "/openapi.json"])
def test_every_response_is_locked_down(server, path):
    headers = server.client.get(path).headers
    policy = headers["content-security-policy"]
    for part in (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")


def test_methods(server, made):
    answer, _ = made
    address = f"/v1/predictions/{answer['id']}"
    head = server.client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    options = server.client.options(address)
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    assert server.client.options("/v1/predictions").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    done = server.client.patch(address)
    refused(done, 405, "method_not_allowed")
    assert done.headers["allow"] == server.client.options(done.url.path).headers["allow"]
    assert server.client.delete("/v1/predictions").headers["allow"] == "GET, HEAD, OPTIONS, POST"  # of all its routes
    refused(server.client.options("/v1/nothing/at/all"), 404, "not_found")
    refused(server.client.request("BREW", "/v1/model"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"data": {"file": "text"}}, 415, "unsupported_media_type"),
        ({"files": {"image": ("a.jpg", b"x")}}, 400, "malformed_upload"),
        ({"files": {"file": ("a.jpg", b"")}}, 400, "malformed_upload"),
        ({"files": {"file": ("a.jpg", b"no image")}}, 422, "image_unreadable"),
        ({"content": b"", "headers": {"Content-Type": "image/png"}}, 400, "malformed_upload"),
        ({"content": b"x", "headers": {"Content-Type": "text/html"}}, 415, "unsupported_media_type"),
        ({"content": b"x", "headers": {"Content-Type": "image/png", "Content-Encoding": "gzip"}}, 415, "unsupported_media_type"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed_upload"),
        ({"content": b"x" * (33 << 20), "headers": {"Content-Type": "image/png"}}, 413, "upload_too_large"),
        ({"content": [b"x" * (1 << 20)] * 33, "headers": {"Content-Type": "image/png"}}, 413, "upload_too_large"),
        ({"params": {"frame": -1}, "files": {"file": ("a.jpg", b"x")}}, 422, "invalid_parameter"),
        ({"params": {"frame": "x"}, "files": {"file": ("a.jpg", b"x")}}, 422, "invalid_parameter"),
    ],
)
def test_uploads_that_are_refused(server, options, status, code):
    refused(server.client.post("/v1/predictions", **options), status, code)


def test_sizes_are_refused_before_decoding(server, lesion_image):
    wide = io.BytesIO()
    Image.new("L", (8000, 4000)).save(wide, "PNG")
    assert "the most is" in refused(server.predict(wide.getvalue()), 413, "image_too_large").detail
    refused(server.predict(lesion_image(1, size=(20, 20))), 422, "image_unreadable")
    refused(server.client.post("/v1/predictions?frame=1", files={"file": ("a.jpg", lesion_image(1))}), 422, "image_unreadable")


def test_an_image_beyond_the_memory_of_a_decoder_is_refused_and_the_next_one_is_answered(server, lesion_image):
    rich = io.BytesIO()
    Image.fromarray(np.zeros((4000, 5900, 4), np.uint8)).save(rich, "PNG", compress_level=1)
    response = server.predict(rich.getvalue())
    if response.status_code != 201:
        refused(response, 413, "image_too_large")
    assert server.predict(lesion_image(1)).status_code == 201


def test_model_and_health(server, small_bundle):
    facts = server.client.get("/v1/model").json()
    ModelInfo.model_validate(facts)
    assert facts["card"] == (small_bundle / "card.md").read_text()
    assert facts["card_html"] == (small_bundle / "card.html").read_text()
    assert facts["access"] == {"tokens_required": False, "role": "review", "name": "local"}
    for name, status in (("healthz", "alive"), ("readyz", "ready")):
        assert Health.model_validate(server.client.get(f"/{name}").json()).status == status


def test_metrics_count_and_name_no_patient(server, lesion_image):
    def answers():
        text = server.client.get("/metrics").text
        return sum(float(n) for n in re.findall(r"^lesionlens_answers_total\{[^}]*\} ([\d.]+)$", text, re.MULTILINE)), text

    before, _ = answers()
    server.predict(lesion_image(11), name="Erika_Mustermann.jpg", headers={"X-Request-ID": "erika"})
    server.client.get("/v1/predictions?q=Mustermann")
    server.client.get("/Mustermann")
    server.client.request("MUSTERMANN", "/")
    after, text = answers()
    assert after == before + 1
    assert not re.search("mustermann|erika", text, re.IGNORECASE)
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \S+ .+|[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [-+0-9.e]+', line), line


def test_logs_name_no_patient(server, lesion_image):
    server.predict(lesion_image(12), name="Hans_Meier.jpg")
    server.predict(b"broken", name="Hans_Meier.jpg")
    server.client.get("/v1/predictions?q=Hans_Meier")
    server.client.get("/Hans_Meier")
    log = server.log.read_text()
    assert "image_unreadable" in log
    assert "Meier" not in log
    assert "Traceback" not in log
