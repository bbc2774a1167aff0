"""The lesion first: plain picture, zoom, pan, pinch, magnifier, map beside and over, contours, scale bar, on paper too."""

import re

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

TRANSFORMS = "return [...document.querySelectorAll('.view:not([hidden]) .stage > .layer')].map((layer) => layer.style.transform)"
SEEN = """
const seen = (stage) => [...stage.querySelectorAll(':scope > .layer > *')].filter((each) => !each.hidden);
return [...document.querySelectorAll('.view:not([hidden]) .stage:not([hidden])')]
    .map((stage) => seen(stage).map((each) => each.getAttribute('class')));
"""
BOX = "const { x, y, width, height } = document.querySelector(arguments[0]).getBoundingClientRect(); return [x, y, width, height]"
PHOTO, MAP, LINES = "photo", "map", "contours"


def scale(transform):
    return float(re.search(r"scale\(([\d.]+)\)", transform)[1]) if transform else 1.0


def middle(page, css):
    """The middle of an element that is scrolled into view, in pixels of the window."""
    page.js("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", css)
    x, y, width, height = page.js(BOX, css)
    return x + width / 2, y + height / 2


def mouse(page, kind, x, y, **how):
    page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left", **how})


def touch(page, kind, *places):
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture(params=["jpeg", "tiff", "dicom"])
def file(request, images, tmp_path):
    if request.param == "jpeg":
        return images[0]
    if request.param == "tiff":
        Image.open(images[0]).save(tmp_path / "case.tiff")
        return tmp_path / "case.tiff"
    pytest.importorskip("pydicom")
    return dicom(tmp_path / "case.dcm", images[0])


def dicom(path, image, **elements):
    from tests.data.dicom_files import plain

    path.write_bytes(plain(np.asarray(Image.open(image)), **elements))
    return path


def test_the_lesion_comes_first_and_the_map_on_request(page, file):
    page.shown(file)
    assert page.js(SEEN) == [[PHOTO]]
    assert not page.visible("#detail .controls")
    page.look("over")
    assert page.js(SEEN) == [[PHOTO, MAP]]
    page.look("beside")
    assert page.js(SEEN) == [[PHOTO], [PHOTO, MAP]]
    page.press(".outlines")
    page.find("#detail .contours")
    assert page.js(SEEN) == [[PHOTO], [PHOTO, LINES]]
    assert page.text("#detail .lines").replace("\u202f", " ") == "25 %\n50 %\n75 %"
    page.look("image")
    assert page.js(SEEN) == [[PHOTO]]


def test_the_same_from_the_history(page, file):
    page.shown(file)
    page.driver.refresh()
    page.find("#server-state[data-state=ready]")
    page.go("history")
    page.find(".history tbody a").click()
    page.find("#view-prediction .outcome")
    page.until(page.photo_width)
    assert page.js(SEEN) == [[PHOTO]]
    page.press("#view-prediction [data-view=beside][aria-pressed]")
    page.until(lambda: page.js(SEEN) == [[PHOTO], [PHOTO, MAP]])
    assert not page.visible("#view-prediction .blind")


def test_the_next_image_begins_plain_again(page, images):
    page.upload(*images[:2])
    page.answered(2)
    page.until(page.photo_width)
    page.look("over")
    page.visible(".row-open")[1].click()
    page.until(lambda: page.js(SEEN) == [[PHOTO]])


def test_both_pictures_move_together(page, images):
    page.shown(images[0])
    page.look("beside")
    page.press(".zoom-in")
    page.press(".zoom-in")
    one, other = page.js(TRANSFORMS)
    assert one == other
    assert scale(one) == 2.25
    x, y = middle(page, ".stage ~ .stage")  # the map's
    mouse(page, "mousePressed", x, y, clickCount=1)
    mouse(page, "mouseMoved", x + 40, y + 25, buttons=1)
    mouse(page, "mouseReleased", x + 40, y + 25)
    moved, followed = page.js(TRANSFORMS)
    assert moved == followed != one
    page.press(".whole")
    assert [scale(each) for each in page.js(TRANSFORMS)] == [1, 1]


def test_the_place_under_the_cursor_stays_where_it_is(page, images):
    page.shown(images[0])
    x, y = middle(page, ".stage")
    box = page.js(BOX, ".stage")
    x, y = x + box[2] / 8, y - box[3] / 8
    modifiers = {"deltaX": 0, "deltaY": -100, "modifiers": 2}  # with Ctrl, as a trackpad's pinch comes
    mouse(page, "mouseWheel", x, y, **modifiers)
    page.until(lambda: page.js(TRANSFORMS)[0].endswith(")") and scale(page.js(TRANSFORMS)[0]) > 2)
    left, top, width, height = page.js(BOX, ".stage .photo")
    stage = page.js(BOX, ".stage")
    before = (x - stage[0]) / stage[2], (y - stage[1]) / stage[3]
    assert ((x - left) / width, (y - top) / height) == pytest.approx(before, abs=0.005)


def test_a_wheel_alone_scrolls_the_page(page, images):
    page.shown(images[0])
    x, y = middle(page, ".stage")
    before = page.js("return window.scrollY")
    mouse(page, "mouseWheel", x, y, deltaX=0, deltaY=60)
    page.until(lambda: page.js("return window.scrollY") != before)
    assert scale(page.js(TRANSFORMS)[0]) == 1


def test_two_fingers_pinch_and_one_pans(page, images):
    page.emulate(390, 844, touch=True)
    page.shown(images[0])
    x, y = middle(page, ".stage")
    touch(page, "touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 7):
        touch(page, "touchMove", (x - 20 - 10 * step, y), (x + 20 + 10 * step, y))
    touch(page, "touchEnd")
    assert scale(page.js(TRANSFORMS)[0]) == pytest.approx(4, rel=0.1)
    before = page.js(TRANSFORMS)[0]
    touch(page, "touchStart", (x, y))
    touch(page, "touchMove", (x + 15, y + 10))
    touch(page, "touchMove", (x + 30, y + 20))
    touch(page, "touchEnd")
    assert page.js(TRANSFORMS)[0] != before
    assert scale(page.js(TRANSFORMS)[0]) == scale(before)


def test_the_magnifier_shows_the_same_place_in_both(page, images):
    page.shown(images[0])
    page.look("beside")
    page.press(".magnifier")
    x, y = middle(page, ".stage")
    mouse(page, "mouseMoved", x - 10, y)
    mouse(page, "mouseMoved", x, y)
    page.until(lambda: len(page.visible(".lens")) == 2)
    layers = page.js("return [...document.querySelectorAll('.lens .layer')].map((layer) => layer.style.transform)")
    assert layers[0] == layers[1]
    assert scale(layers[0]) == 3
    lens, photo = page.js(BOX, ".lens"), page.js(BOX, ".lens .photo")
    assert (photo[0] + photo[2] / 2, photo[1] + photo[3] / 2) == pytest.approx(
        (lens[0] + lens[2] / 2, lens[1] + lens[3] / 2), abs=3
    )
    page.press(".magnifier")
    mouse(page, "mouseMoved", x + 5, y)
    assert not page.visible(".lens")


def test_the_magnifier_by_keys(page, images):
    page.shown(images[0])
    page.press(".magnifier")
    page.find("#detail .stage").send_keys("\ue014")  # right
    page.find(".lens")
    page.find("#detail .stage").send_keys("\ue004")  # Tab leaves it
    page.until(lambda: not page.visible(".lens"))


def test_a_scale_bar_where_the_file_knows_its_scale(page, images, tmp_path):
    pytest.importorskip("pydicom")
    page.shown(dicom(tmp_path / "case.dcm", images[0], PixelSpacing=["0.1", "0.1"]))  # 96 pixels: 9.6 mm
    assert page.text(".scale-bar").replace("\u202f", " ") == "2 mm"
    assert page.js(BOX, ".scale-line")[2] / page.js(BOX, ".stage .photo")[2] == pytest.approx(2 / 9.6, rel=0.02)
    assert "9.6 \u00d7 7.2 mm, as the file states its scale" in page.text("#detail .facts")
    for _ in range(4):
        page.press(".zoom-in")
    assert page.text(".scale-bar").replace("\u202f", " ") == "0.5 mm"
    assert page.js(BOX, ".scale-line")[2] / page.js(BOX, ".stage .photo")[2] == pytest.approx(0.5 / 9.6, rel=0.02)
    page.until(lambda: page.js("return document.querySelectorAll('#report .scale-bar:not([hidden])').length") == 2)


def test_no_scale_bar_where_it_does_not(page, images):
    page.shown(images[0])
    assert not page.visible(".scale-bar")


def test_contours_lie_where_the_map_is(page, images):
    """Every line crosses the map at its level: the picture's colours below it agree with the values."""
    page.shown(images[0])
    page.look("over")
    page.press(".outlines")
    page.find(".contours")
    assert page.js(BOX, ".stage .contours") == page.js(BOX, ".stage .photo")
    classes = page.js(
        "return [...document.querySelectorAll('#detail .contours .line')].map((path) => path.getAttribute('class'))"
    )
    assert classes == ["line level-25", "line level-50", "line level-75"]
    assert page.js("return document.querySelectorAll('#detail .contours path[d^=M]').length") >= 2
    page.until(lambda: page.js("return document.querySelectorAll('#report .contours').length") == 1)
    assert "lines at 25, 50 and 75 %" in page.js("return document.getElementById('report').textContent")


@pytest.mark.parametrize("view", ["#detail", "#view-prediction"])
def test_paper_shows_the_lesion(page, file, view):
    page.shown(file)
    if view != "#detail":
        page.driver.refresh()
        page.find("#server-state[data-state=ready]")
        page.go("history")
        page.find(".history tbody a").click()
        page.until(page.photo_width)
    pictures = "return [...document.querySelectorAll('#report .stage')].map((stage) => stage.querySelectorAll('img').length)"
    page.until(lambda: page.js(pictures) == [1, 2], "the picture alone, then with its map")
    page.until(lambda: all(page.js("return [...document.querySelectorAll('#report img')].map((image) => image.naturalWidth)")))


def test_numbers_follow_one_rule(page):
    """What would round to certainty says so, in the page, its sentences and its pictures alike."""
    code = "const m = await import(new URL('format.js', location).href); return arguments[0].map((share) => m.percent(share));"
    shares = [0.999, 0.9996, 1, 0, 0.0004, 0.0625, 0.824]
    found = page.driver.execute_async_script(
        "const done = arguments[1]; (async (...arguments) => {" + code + "})(arguments[0]).then(done)", shares
    )
    from lesionlens.core.percent import percent

    assert [text.replace("\u202f", " ") for text in found] == [percent(share) for share in shares]


def test_times_name_their_zone(page, images):
    page.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Baghdad"})
    try:
        page.driver.refresh()
        page.find("#server-state[data-state=ready]")
        page.shown(images[0])
        assert re.search(r"\d\d:\d\d:\d\d GMT\+3$", page.text("#detail .facts time"))
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_review_without_the_picture_is_warned_of(page, start_server, images):
    page.expected += ["410"]
    server = start_server("--image-minutes", "0")
    page.open(server.url + "/")
    page.find("#server-state[data-state=ready]")
    page.shown(images[0])
    assert not page.visible(".blind")
    page.driver.refresh()
    page.find("#server-state[data-state=ready]")
    page.go("history")
    page.find(".history tbody a").click()
    assert "without seeing the lesion" in page.text("#view-prediction .blind")
    assert "no longer has this picture" in page.text("#view-prediction .blank-picture")
    assert not page.find("[data-view=over][aria-pressed]").is_enabled()
    assert page.visible(".review form")
