"""What a person has set in the system or the browser: zoom, larger text, less motion, forced colours."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.serving.page.walk import check, lesion_photograph, send, views

pytestmark = pytest.mark.slow

WIDTH = "return document.documentElement.scrollWidth"
STYLE = "return getComputedStyle(document.querySelector(arguments[0]), arguments[2] ?? null)[arguments[1]]"


@pytest.fixture(scope="module")
def lesion(driver, start_server, tmp_path_factory):
    """A server with one lesion of two photographs."""
    server = start_server("--keep-images")
    folder = tmp_path_factory.mktemp("lesion")

    class Sender:
        pass

    Sender.server = server
    send(Sender, lesion_photograph(folder / "a.jpg"), case="T", lesion="L1", site="back", taken="2025-01-01")
    send(Sender, lesion_photograph(folder / "b.jpg", turn=25), case="T", lesion="L1", taken="2025-06-01")
    return server


def zoom(page, factor):
    """What the browser's zoom does on a window of 1280 x 1024."""
    page.emulate(1280 // factor, 1024 // factor, density=factor)


@pytest.mark.parametrize("factor", [2, 4])
def test_zoom(page, images, factor):
    zoom(page, factor)
    for view in views(page, images):
        assert page.js(WIDTH) <= 1280 // factor, view
        assert check(page, "smallTargets", 24) == [], view
        stuck = page.js("return document.querySelector('.statement').getBoundingClientRect().height")
        assert stuck <= 256 / 4, view  # what stays at the top leaves room


def test_zoom_on_a_lesion_over_time(lesion, new_page):
    page = new_page(lesion.url + "/")
    for factor in (2, 4):
        zoom(page, factor)
        page.go("lesion/T/L1")
        page.find(".comparison[data-aligned]")
        assert page.js(WIDTH) <= 1280 // factor


def test_text_of_twice_the_size(page, images):
    page.driver.execute_cdp_cmd("Page.setFontSizes", {"fontSizes": {"standard": 32}})
    page.emulate()
    assert page.js("return getComputedStyle(document.documentElement).fontSize") == "32px"
    for view in views(page, images):
        assert page.js(WIDTH) <= 1280, view
        assert (
            page.js(
                "return [...document.querySelectorAll('main button, .views a')].filter((each) => each.checkVisibility()"
                " && !each.closest('.rows, .scroll') && each.scrollWidth > each.clientWidth + 2)"
                ".map((each) => each.outerHTML.slice(0, 80))"
            )
            == []
        ), view


def test_nothing_blinks_where_motion_is_not_wanted(lesion, new_page):
    page = new_page(lesion.url + "/")
    page.go("lesion/T/L1")
    page.find("[data-compare=blink]")
    page.emulate(prefers_reduced_motion="reduce")
    page.driver.refresh()
    page.find(".comparison[data-aligned]")
    assert not page.visible("[data-compare=blink]")
    page.press("[data-compare=swap]")  # by hand
    page.press(".swap")
    assert page.js("return document.querySelector('.compared-panes').dataset.top") == "second"
    moving = "return document.getAnimations().filter((each) => each.playState === 'running').length"
    assert page.js(moving) == 0


def pixels(page, css):
    """What the screen shows of an element, as (H, W, 3)."""
    page.js("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", css)
    shot = page.find(css).screenshot_as_png
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), int)


def apart(one, other):
    """Largest difference of two colours, grey levels."""
    return np.abs(np.asarray(one) - np.asarray(other)).max()


@pytest.fixture(params=["light", "dark"])
def forced(page, request):
    page.emulate(forced_colors="active", prefers_color_scheme=request.param)
    assert page.js("return matchMedia('(forced-colors: active)').matches")
    return page


def test_forced_colours_keep_meters_and_states_apart(forced, images):
    page = forced
    page.upload(images[0], images[1])
    page.answered(2)
    page.until(page.photo_width)
    bars = page.js("return [...document.querySelectorAll('#detail .fill')].map((fill) => fill.getBoundingClientRect().width)")
    assert max(bars) > 4
    page.js("document.querySelectorAll('#detail .bar')[arguments[0]].id = 'longest'", int(np.argmax(bars)))
    row = pixels(page, "#longest")[6]
    assert apart(row[3], row[-3]) > 60 or bars[int(np.argmax(bars))] >= len(row) - 4
    page.js("const bar = document.getElementById('queue-progress'); bar.max = 2; bar.value = 1")
    row = pixels(page, "#queue-progress")[5]
    assert apart(row[len(row) // 4], row[3 * len(row) // 4]) > 60
    pressed, other = (
        page.js(STYLE, f"#detail [data-view][aria-pressed={state}]", "backgroundColor") for state in ("true", "false")
    )
    assert pressed != other
    here, there = (page.js(STYLE, css, "borderBottomColor") for css in (".views a[aria-current]", ".views a:not([aria-current])"))
    assert here != there
    assert page.js(STYLE, ".rows li:has([aria-current])", "borderLeftWidth") == "6px"


def test_forced_colours_keep_the_picture_and_its_map(forced, images):
    page = forced
    page.shown(images[0])
    plain = pixels(page, "#detail .stage")
    page.look("over")
    page.until(lambda: apart(pixels(page, "#detail .stage"), plain) > 30, "the map")
    page.press(".outlines")
    page.find(".contours")
    assert apart(pixels(page, "#detail .stage"), plain) > 30
    page.press(".outlines")
    ramp = pixels(page, "#detail .ramp")
    assert apart(ramp[4, 2], ramp[4, -3]) > 60


def test_forced_colours_keep_the_body_map(forced):
    page = forced
    page.press(".case-fields > summary")
    page.press(".case-fields .body summary")
    page.press('#subject .region[data-site="chest"]')
    chest, abdomen = (page.js(STYLE, f'#subject [data-site="{site}"] path', "fill") for site in ("chest", "abdomen"))
    assert chest != abdomen
    assert page.js(STYLE, '#subject [data-site="abdomen"] path', "stroke") != abdomen
    page.keys("\ue015")
    focused = page.js("return getComputedStyle(document.activeElement.querySelector('path')).strokeWidth")
    assert float(focused.removesuffix("px")) >= 3


def test_forced_colours_keep_the_focus_in_sight(forced):
    page = forced
    for _ in range(8):
        page.keys("\ue004")
        ring = page.js(
            "const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(document.activeElement);"
            "return [outlineStyle, parseFloat(outlineWidth), outlineColor, getComputedStyle(document.body).backgroundColor]"
        )
        assert ring[0] != "none"
        assert ring[1] >= 2
        assert ring[2] != ring[3]
