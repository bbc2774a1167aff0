import dataclasses
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from lesionlens.cli.report import report as report_command
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.core.labels import HAM10000, LabelSet, label_set_of
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.index import Index
from lesionlens.reporting import report
from lesionlens.reporting.report import build_report, write_report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
MOST_BYTES = 6_000_000
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements of a page, in order, with a check that every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def html(finished_run) -> str:
    return build_report(finished_run)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_says_what_it_is(page):
    assert "made up" in page.text
    assert "lesion (grouped by lesion, stratified by diagnosis)" in page.text
    assert "A research and decision-support tool, not a medical device" in page.text
    assert "0.0\u202f% of its images leak" in page.text
    assert "This split leaks" not in page.text
    assert "Synthetic images" not in page.text


def test_the_page_asks_for_nothing(html, page):
    for name, address in (
        (n, a) for _, attributes in page.elements for n, a in attributes.items() if n in ("src", "href", "srcset")
    ):
        assert address.startswith(("#", "data:image/jpeg;base64,")), f"{name}={address[:80]}"
    assert page.all("script", "link", "iframe", "object", "embed", "base") == []
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_is_accessible(page):
    assert all(image["alt"] for image in page.all("img"))
    assert all(
        drawing.get("aria-hidden") == "true" or (drawing["role"], bool(drawing["aria-label"])) == ("img", True)
        for drawing in page.all("svg")
        if "class" in drawing
    )
    assert all(head.get("scope") in ("row", "col") for head in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)
    assert page.all("html")[0]["lang"] == "en"


def test_every_section_is_there(page):
    sections = [attributes["id"] for attributes in page.all("section")]
    assert sections == [
        "summary",
        "data",
        "audit",
        "augmentation",
        "training",
        "scores",
        "confusion",
        "curves",
        "calibration",
        "cases",
        "heat-maps",
        "variants",
        "decisions",
        "subgroups",
        "robustness",
        "external",
        "provenance",
    ]


def test_the_first_section_says_whom_it_is_for_and_how_far_to_trust_it(page):
    assert "by people trained to read them" in page.text
    assert "Diagnosis without a physician" in page.text
    assert "No data set of another centre was scored" in page.text
    assert "Fewer than 20 lesions were tested of" in page.text


def test_scores_stand_with_interval_and_paper(page, finished_run):
    scores = json.loads((finished_run / "scores.json").read_text())
    metric = scores["metrics"]["macro_auc"]
    assert f"{metric['value']:.3f} {metric['low']:.3f}–{metric['high']:.3f} delong-logit 0.9898" in page.text
    assert all(f"{name}: {text}" in page.text for name, text in scores["methods"].items())
    assert "Fewer than 20 lesions, so counts and no intervals" in page.text
    assert f"plain, in 15 bins, it is {scores['metrics']['ece']['plain']:.4f}" in page.text
    assert "table 7, leaking split" in page.text
    assert "96.55 †" in page.text
    assert "the paper prints 99.90" in page.text


def test_a_count_is_not_called_an_interval(page, finished_run):
    melanoma = json.loads((finished_run / "scores.json").read_text())["per_class"]["mel"]["recall"]
    assert melanoma["low"] is None
    count = f"{melanoma['count']} of {melanoma['of']}"
    assert f" {count} " in page.text
    assert f"CI {count}" not in page.text
    assert "(–)" not in page.text


def test_counts_are_those_of_the_split(page, finished_run):
    split = json.loads((finished_run / "split.json").read_text())
    training, validation, test = (len(split["ids"][split_name]) for split_name in ("train", "validation", "test"))
    assert f"All images {training} {validation} {test} {training + validation + test}" in page.text


def test_missing_parts_are_said(page):
    assert "this run has no audit.json ; make it with: lesionlens audit" in page.text


def test_hashes_and_recipe_are_shown(page, finished_run):
    assert json.loads((finished_run / "split.json").read_text())["hash"] in page.text
    assert "mobilenetv2_100" in page.text
    assert "label_smoothing 0.1" in page.text


def test_small(html):
    assert len(html.encode()) < MOST_BYTES


def test_large_pictures_do_not_make_a_large_page(run_folder):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(run_folder / "gallery.png", compress_level=0)
    Image.fromarray(noise).save(run_folder / "audit.jpg", quality=95)
    written = write_report(run_folder, run_folder / "report.html")
    assert written.size_bytes == (run_folder / "report.html").stat().st_size < MOST_BYTES


def hostile_index(index: Index) -> Index:
    records = tuple(dataclasses.replace(r, image_id=r.image_id + HOSTILE, lesion_id=r.lesion_id + HOSTILE) for r in index.records)
    diagnoses = tuple(dataclasses.replace(d, name=d.name + HOSTILE) for d in index.labels.diagnoses)
    return Index(records, LabelSet("hostile", diagnoses), index.root, HOSTILE, (HOSTILE,))


def test_hostile_texts_stay_texts(image_index, tmp_path, make_run):
    recipe = recipe_from({"name": HOSTILE, "model": {"name": HOSTILE}})
    html = build_report(make_run(tmp_path / "run", hostile_index(image_index), recipe))
    assert "<script>" not in html
    page = Page(html)
    assert page.all("script") == []
    assert all("onerror" not in image for image in page.all("img"))
    assert HOSTILE in page.text


def test_a_leaking_split_is_marked(image_index, tmp_path, make_run):
    recipe = recipe_from({"name": "leaky", "split": {"protocol": "paper"}})
    page = Page(build_report(make_run(tmp_path / "run", image_index, recipe)))
    assert "This split leaks." in page.text
    assert "do not report them alone" in page.text
    assert "Test leak" in page.text


def test_synthetic_images_are_called_so_and_not_compared(image_index, tmp_path, make_run):
    records = tuple(dataclasses.replace(r, lesion_id=f"SYNL_{r.lesion_id}") for r in image_index.records)
    index = Index(records, image_index.labels, image_index.root, "ham10000")
    page = Page(build_report(make_run(tmp_path / "run", index, recipe_from({"name": "drawn"}))))
    assert "Synthetic images." in page.text
    assert "these images are synthetic" in page.text
    assert "table 7" not in page.text
    assert "0.9898" not in page.text


def test_other_diagnoses(image_index, tmp_path, make_run):
    new = {"mel": "lymphoma", "nv": "wart"}
    records = tuple(dataclasses.replace(r, dx=new.get(r.dx, r.dx)) for r in image_index.records)
    labels = label_set_of([r.dx for r in records], malignant=["lymphoma"])
    page = Page(build_report(make_run(tmp_path / "run", Index(records, labels, image_index.root, "folder"), recipe_from({}))))
    assert "Melanoma sensitivity" not in page.text
    assert "these are not the seven diagnoses of HAM10000" in page.text


def test_a_diagnosis_without_test_images_has_no_curves(image_index, tmp_path, make_run):
    labels = LabelSet("more", (*HAM10000.diagnoses, dataclasses.replace(HAM10000.diagnoses[0], code="zzz", name="Never seen")))
    index = Index(image_index.records, labels, image_index.root, "folder")
    page = Page(build_report(make_run(tmp_path / "run", index, recipe_from({}))))
    assert "No cases, so no curves: Never seen" in page.text
    assert "Macro means over 7 of 8 diagnoses" in page.text


def test_a_stale_run_leaves_the_old_report(run_folder):
    out = run_folder / "report.html"
    out.write_text("old")
    (run_folder / "split.json").unlink()
    with pytest.raises(ArtifactError, match="split.json is missing"):
        write_report(run_folder, out)
    assert out.read_text() == "old"


def test_a_full_disk_leaves_the_old_report(run_folder, monkeypatch):
    out = run_folder / "report.html"
    out.write_text("old")

    def full(path, text):
        raise StorageError("no space left")

    monkeypatch.setattr(report, "write_text", full)
    with pytest.raises(StorageError):
        write_report(run_folder, out)
    assert out.read_text() == "old"


def test_the_command_writes_and_tells(run_folder, capsys):
    report_command(run_folder, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["report"] == str(run_folder / "report.html")
    assert told["size_bytes"] == (run_folder / "report.html").stat().st_size
    assert "audit.json" in told["left_out"]


@pytest.mark.slow
def test_reporting_loads_no_torch(finished_run):
    code = (
        "import sys, pathlib; from lesionlens.reporting.report import build_report; "
        f"build_report(pathlib.Path({str(finished_run)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def luminance(colour: str) -> float:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


TEXTS = [
    ("ink", "page"),
    ("muted", "page"),
    ("muted", "surface"),
    ("accent", "page"),
    ("leak-ink", "leak-page"),
    ("note-ink", "note-page"),
    ("ink", "right"),
    ("ink", "wrong"),
    ("leak-edge", "page"),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrasts(html, scheme):
    block = html.split(":root {")[1 + scheme].split("}")[0]
    colours = dict(re.findall(r"--([\w-]+): ?(#[0-9a-f]{6})", block))
    assert all(contrast(colours[text], colours[ground]) >= 4.5 for text, ground in TEXTS)
    assert all(contrast(colours[f"k{place}"], colours["page"]) >= 3 for place in range(7))
    assert contrast(colours["gap"], colours["page"]) >= 3
