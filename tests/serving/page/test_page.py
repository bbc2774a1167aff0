"""A person's way through the page: images in, answers, heat map, review, history, report."""

import base64
import csv
import re
import shutil

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

OUTCOMES = {"diagnosis": "Suggested diagnosis", "not_sure": "Not sure: have a person look", "not_usable": "Image not usable"}
DROP = """
const [name, data, kind] = arguments;
const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
if (kind === "paste") {
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
  return "";
}
const how = { dataTransfer: transfer, bubbles: true, cancelable: true };
const fire = (event) => document.body.dispatchEvent(new DragEvent(event, how));
fire("dragenter");
const marked = document.getElementById("drop").classList.contains("over");
fire("dragover");
fire("drop");
return `${marked} ${document.getElementById("drop").classList.contains("over")}`;
"""
CHANGE = """
const field = document.querySelector(`#filters [name=${arguments[0]}]`);
field.value = arguments[1];
field.dispatchEvent(new Event("change", { bubbles: true }));
"""


@pytest.fixture(scope="session")
def grey(tmp_path_factory):
    path = tmp_path_factory.mktemp("grey") / "grey.png"
    Image.fromarray(np.full((300, 400, 3), 128, dtype=np.uint8)).save(path)
    return path


def test_an_answer_says_all(page, images):
    page.shown(images[0])
    answer = page.js("return fetch('v1/predictions?limit=1').then((response) => response.json())")["items"][0]
    assert page.text("#detail .outcome-word") == OUTCOMES[answer["outcome"]]
    assert answer["explanation"] in page.text("#detail .outcome-sentence")
    rows = page.visible(".probabilities tbody tr")
    shown = {row.get_attribute("data-code"): row for row in rows}
    assert [row.get_attribute("data-code") for row in rows] == [
        row["code"] for row in sorted(answer["probabilities"], key=lambda row: -row["probability"])
    ]
    for row in answer["probabilities"]:
        text = shown[row["code"]].text
        assert row["name"] in text
        assert ("malignant" in text) == row["malignant"]
        assert share_of(text) == pytest.approx(100 * row["probability"], abs=0.051)
    assert share_of(page.text(".probabilities tfoot")) == pytest.approx(100 * answer["malignant_share"], abs=0.051)
    record = page.text("#detail")
    for part in (answer["id"], answer["bundle"]["id"], answer["input_sha256"], answer["request_id"], "network", "decode"):
        assert part in record


def share_of(text):
    return float(re.search(r"([\d.]+)\s*%", text)[1])


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_images_come_by_drop_and_paste(page, images, kind):
    data = base64.b64encode(images[1].read_bytes()).decode()
    assert page.js(DROP, f"{kind}.jpg", data, kind) == ("true false" if kind == "drop" else "")
    page.find("#detail .outcome")
    assert page.text(".row-name") == f"{kind}.jpg"


def test_the_buttons_open_their_choosers(page):
    page.emulate(390, 844, touch=True)
    count = (
        "window.opened = []; for (const id of ['files', 'camera']) document.getElementById(id).onclick ="
        "(event) => { window.opened.push(id); event.preventDefault(); }"
    )
    page.js(count)
    page.find("#choose").click()
    page.find("#photograph").click()
    assert page.js("return window.opened") == ["files", "camera"]
    assert page.js("return document.getElementById('camera').getAttribute('capture')") == "environment"
    assert page.js("return document.getElementById('files').multiple")


def test_many_images_each_with_its_answer(page, images):
    page.upload(*images[:12])
    page.answered(12)
    assert re.fullmatch(r"12 images(, \d+ (diagnos[ei]s|not sure|not usable))+", page.text("#queue-count"))
    names = [row.text for row in page.visible(".row-name")]
    assert names == [path.name for path in images[:12]]
    assert "All 12 images are done: " in page.js("return document.getElementById('live').textContent")
    for button in page.visible(".row-open")[:6]:
        page.js("arguments[0].scrollIntoView({ block: 'center' })", button)
        button.click()
        page.until(lambda button=button: page.text("#detail .file-name") == button.find_element("css selector", ".row-name").text)
        page.until(page.photo_width)
    # one picture and one map: what was shown before has been let go
    assert page.until(lambda: page.js("return window.liveUrls.size") <= 2)
    page.find("#clear").click()
    assert page.until(lambda: page.js("return window.liveUrls.size") == 0)
    assert page.find(".welcome")


def test_thumbnails_wait_for_the_screen(page, images):
    page.expected.append("getImageData")  # this test reads pixels back, the page never does
    page.upload(*images[:60])
    page.answered(60)
    drawn = """return [...document.querySelectorAll('.thumb')].map((canvas) =>
        canvas.getContext('2d').getImageData(48, 48, 1, 1).data[3] > 0)"""
    page.until(lambda: page.js(drawn)[0])
    assert not page.js(drawn)[-1]  # far below the edge of the list
    page.js("document.querySelector('#rows li:last-child').scrollIntoView()")
    page.until(lambda: page.js(drawn)[-1])


def test_picker_and_slider_change_the_heat_map(page, images):
    from selenium.webdriver.support.select import Select

    page.shown(images[2])
    page.look("over")
    first = page.map_source()
    picker = Select(page.find("#detail .controls select"))
    assert len(picker.options) == 7
    picker.select_by_index(3)
    assert page.until(lambda: page.map_source() not in ("", first))
    name = picker.first_selected_option.text.split("% ")[1]
    assert name in page.text("#detail .map-note")
    slider, opacity = page.find("#detail input[type=range]"), "return document.querySelector('#detail .stage .map').style.opacity"
    assert page.js(opacity) == "0.6"
    slider.send_keys("\ue014" * 4)  # the right arrow
    assert page.js(opacity) == "0.8"
    assert slider.get_attribute("aria-valuetext") == "80\u202f%"
    assert page.text("#detail .controls .level").replace("\u202f", " ") == "80 %"


@pytest.mark.parametrize(("width", "height"), [(96, 72), (60, 200)])
def test_the_map_lies_on_the_picture(page, images, tmp_path, width, height):
    Image.open(images[2]).resize((width, height)).save(tmp_path / "picture.jpg")
    page.shown(tmp_path / "picture.jpg")
    page.look("over")
    boxes = """return ['.photo', '.map'].map((css) => document.querySelector('#detail .stage ' + css).getBoundingClientRect())
        .map(({ x, y, width, height }) => [x, y, width, height])"""
    photo, map_ = page.js(boxes)
    assert photo == map_
    assert photo[2] / photo[3] == pytest.approx(width / height, rel=0.01)
    assert photo[3] <= 0.76 * 800


def test_the_picture_can_be_enlarged_and_put_back(page, images):
    page.shown(images[0])
    page.look("over")
    page.find("#detail .larger").click()
    assert page.find("#picture-dialog .map")
    page.keys("\ue00c")  # Escape
    page.until(lambda: not page.visible("#picture-dialog"))
    assert page.js("return document.activeElement.className") == "quiet tool larger"
    assert page.find("#detail .stage .map")


def test_review_history_search_and_csv(page, images, tmp_path):
    from selenium.webdriver.support.select import Select

    path = tmp_path / "reviewed-case-17.jpg"
    shutil.copy(images[3], path)
    page.shown(path)
    Select(page.find("[name=conclusion]")).select_by_visible_text("Melanoma")
    page.find("[name=note]").send_keys("Excised; histology asked for.")
    page.find(".review .primary").click()
    assert page.until(lambda: page.text(".review .conclusion") == "Melanoma")
    assert page.text(".review .stored .note") == "Excised; histology asked for."
    page.go("history")
    page.find("[name=q]").send_keys("case-17\n")
    page.until(lambda: len(page.visible(".history tbody tr")) == 1)
    row = page.text(".history tbody tr")
    assert all(part in row for part in ("reviewed-case-17.jpg", "Melanoma", "Excised"))
    page.find(".csv").click()
    saved = page.until(lambda: list(page.driver.downloads.glob("lesionlens-history-*.csv")))[0]
    lines = list(csv.DictReader(saved.read_text(encoding="utf-8-sig").splitlines()))
    assert [line["file_name"] for line in lines] == ["reviewed-case-17.jpg"]
    page.find(".history a").click()
    assert page.text("#view-prediction .conclusion") == "Melanoma"
    assert page.until(page.photo_width) > 0  # of this session, or the server's


def test_filters_and_pages_of_the_history(page, images):
    page.upload(*images[:30])
    page.answered(30)
    page.go("history")
    page.until(lambda: len(page.visible(".history tbody tr")) == 25)
    newest = page.text(".history tbody tr")
    page.find(".pages button:nth-of-type(2)").click()
    page.until(lambda: "Page 2" in page.text(".pages"))
    assert page.text(".history tbody tr") != newest
    page.find(".pages button:nth-of-type(1)").click()
    page.until(lambda: page.text(".history tbody tr") == newest)
    for outcome in OUTCOMES:
        page.js(CHANGE, "outcome", outcome)
        page.until(
            lambda outcome=outcome: page.js(
                "return [...document.querySelectorAll('.history tbody tr')].every((row) => row.dataset.outcome === arguments[0])",
                outcome,
            )
        )
    page.find("[type=reset]").click()
    page.until(lambda: page.visible(".history tbody tr") and page.text(".history tbody tr") == newest)
    page.js(CHANGE, "until", "2020-01-01")
    assert page.until(lambda: page.visible("#history-list .empty"))


def test_an_image_that_is_not_usable(page, grey):
    page.upload(grey)
    assert page.text("#detail .outcome-word") == OUTCOMES["not_usable"]
    assert page.text("#detail .check .result") == "Not usable"
    assert page.visible("#detail .reasons li")
    assert not page.visible(".probabilities tbody")
    assert not page.visible("#detail .controls")
    assert len(page.driver.find_elements("css selector", "[name=conclusion] option")) == 10


def test_files_that_are_no_images_say_why(page, tmp_path):
    page.expected.append("422")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    page.upload(tmp_path / "photo.heic")
    problem = page.text("#detail .problem")
    assert "(422)" in problem
    assert "Request" in problem
    assert "Code image_unreadable" in problem
    assert page.visible("li[data-state=failed]")


def test_a_picture_that_the_browser_cannot_show(page, images, tmp_path):
    Image.open(images[4]).save(tmp_path / "case.tiff")
    page.upload(tmp_path / "case.tiff")
    page.find("#detail .outcome")
    assert page.until(page.photo_width) == 96  # the server's copy, without map, title or scale
    page.look("over")
    assert page.find("#detail input[type=range]").is_enabled()


def test_frames_of_a_dicom_object_are_read_one_by_one(page, images, tmp_path):
    pytest.importorskip("pydicom")
    write_dicom(tmp_path / "case.dcm", [np.asarray(Image.open(path)) for path in images[:2]])
    page.upload(tmp_path / "case.dcm")
    page.find("#detail .outcome")
    assert "frame 1 of 2" in page.text("#detail")
    assert "Frame 1 of 2 was used." in page.text("#detail")  # what decoding noted
    field = page.find(".frames input")
    field.clear()
    field.send_keys("2\n")
    page.until(lambda: "frame 2 of 2" in page.text("#detail"))
    assert page.until(page.photo_width) > 0
    assert len(page.visible("#rows li")) == 2


def write_dicom(path, frames):
    """A visible-light photograph with several frames, uncompressed."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, VLPhotographicImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLPhotographicImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    found.SOPClassUID, found.SOPInstanceUID, found.Modality = meta.MediaStorageSOPClassUID, generate_uid(), "XC"
    found.NumberOfFrames = len(frames)
    found.Rows, found.Columns = frames[0].shape[:2]
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PlanarConfiguration = 3, "RGB", 0
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit, found.PixelRepresentation = 7, 0
    found.PixelData = np.stack(frames).tobytes()
    found.save_as(path, enforce_file_format=True)


def test_html_is_shown_as_text(page, images, tmp_path):
    from selenium.webdriver.support.select import Select

    name = "<img src=x onerror=document.title='owned'>.jpg"
    shutil.copy(images[5], tmp_path / name)
    page.shown(tmp_path / name)
    Select(page.find("[name=conclusion]")).select_by_index(8)
    page.find("[name=note]").send_keys("<script>document.title='owned'</script><b>bold</b>")
    page.find(".review .primary").click()
    assert page.text(".review .stored .note") == "<script>document.title='owned'</script><b>bold</b>"
    assert page.text(".row-name") == name
    page.go("history")
    assert page.until(lambda: page.text(".history tbody a") == name)
    assert "<b>bold</b>" in page.text(".history tbody .note")
    assert "owned" not in page.driver.title
    assert not page.driver.find_elements("css selector", "main b, main script, [onerror]")


def test_the_report_is_one_page_with_all_parts(page, images, grey):
    page.shown(images[6])
    page.until(lambda: page.js("return document.querySelectorAll('#report img').length") == 3)
    text = page.js("return document.getElementById('report').textContent")
    answer = page.js("return fetch('v1/predictions?limit=1').then((response) => response.json())")["items"][0]
    parts = [row["name"] for row in answer["probabilities"]]
    parts += [
        answer["id"],
        answer["bundle"]["id"],
        answer["input_sha256"],
        answer["explanation"],
        "Malignant share",
        "Heat map for",
    ]
    parts += ["not a medical device", "Predicted", "Printed", "Image check", "Review", "Model and its limits"]
    assert [part for part in parts if part not in text] == []
    assert n_pages(page.pdf()) == 1
    page.upload(grey)
    page.answered(2)
    page.visible(".row-open")[1].click()
    page.until(lambda: "Image not usable" in page.js("return document.getElementById('report').textContent"))
    assert n_pages(page.pdf()) == 1


def n_pages(pdf):
    assert pdf.startswith(b"%PDF")
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_what_is_said_of_the_model(page):
    page.go("model")
    text = page.text("#model-detail")
    for part in ("Intended use", "Not a medical device", "Measured performance", "Balanced accuracy", "Largest file", "Melanoma"):
        assert part in text
    assert re.search(r"0\.\d{3}\s+\[0\.\d{3}, [01]\.\d{3}\]", text)  # overall
    assert re.search(r"0\.\d{3} \(\d+ of \d+\)", text)  # of a diagnosis with few lesions
    page.find(".card-text summary").click()
    assert "Licences" in page.text(".card-text")
    assert page.visible(".card-text table")


def test_what_it_is_not_is_always_in_sight(page, images):
    page.shown(images[0])
    page.js("window.scrollTo(0, document.body.scrollHeight)")
    for view in ("images", "history", "model"):
        page.go(view)
        box = page.find(".statement").rect
        assert "Not a medical device" in page.text(".statement")
        assert 0 <= box["y"] - page.js("return window.scrollY") < 800
