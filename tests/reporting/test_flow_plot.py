import re
import xml.etree.ElementTree as ET
from typing import Any

from lesionlens.reporting.flow_plot import WIDTH, flow_diagram, flow_file

FLOW: dict[str, Any] = {
    "index": 1250,
    "unreadable": 3,
    "leaked": 20,
    "leaked_kept": 0,
    "refused": 40,
    "not_sure": 187,
    "diagnosed": 1000,
    "outside": 12,
    "not_diagnosed": {name: {"malignant": 2, "benign": 1} for name in ("unreadable", "refused", "not_sure")},
    "called": {"malignant": {"n": 300, "malignant": 260, "benign": 40}, "benign": {"n": 700, "malignant": 99, "benign": 601}},
    "right_diagnosis": 800,
    "wrong_diagnosis": 190,
    "outside_diagnosed": 10,
}


def words_of(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def test_every_count_is_there() -> None:
    words = words_of(str(flow_diagram(FLOW)))
    assert words[:2] == ["Images in the index", "1,250"]
    for text in ("1,227", "1,000", "Truly malignant: 300", "called malignant: 260", "missed: 40", "false alarms: 99"):
        assert text in words
    assert "12 of a class it lacks" in words
    assert not any("kept" in word for word in words)
    assert "5 leaked, kept" in words_of(str(flow_diagram({**FLOW, "leaked": 0, "leaked_kept": 5})))


def test_the_file_is_xml_of_its_own() -> None:
    root = ET.fromstring(flow_file(FLOW))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "1250" in (root.findtext("{http://www.w3.org/2000/svg}title") or "").replace(",", "")


def test_boxes_lie_inside_and_do_not_overlap() -> None:
    root = ET.fromstring(flow_file(FLOW))
    _, _, width, height = (float(value) for value in root.attrib["viewBox"].split())
    boxes = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if rect.attrib.get("class") == "step"
    ]
    assert width == WIDTH
    assert len(boxes) == 9
    for x, y, w, h in boxes:
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    for number, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[number + 1 :]:
            assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y


def test_texts_fit_their_boxes() -> None:
    """At most 6.6 units a character; the narrowest box has 148."""
    assert max(len(word) for word in words_of(str(flow_diagram(FLOW)))) * 6.6 < 148
