import dataclasses

import pytest

from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.errors import ArtifactError
from lesionlens.data.audit.audit import Audit, SuspectedPair
from lesionlens.reporting.audit_summary import LISTED, audit_summary
from lesionlens.reporting.report import build_report
from lesionlens.reporting.run_folder import read_run


def an_audit(index_hash: str, n_pairs: int = 2, **changes: str) -> Audit:
    pairs = tuple(
        SuspectedPair(f"IMG_{n:04d}a", f"IMG_{n:04d}b", "mel", "nv" if n else "mel", "near", 90 - n, *(3 * [n == 0]))
        for n in range(n_pairs)
    )
    audit = Audit(
        index_hash=index_hash,
        split_hash="",
        n_images=236,
        n_lesions=180,
        unreadable=({"image_id": "IMG_bad", "path": "bad.jpg", "reason": "<b>cut short</b>"},),
        pairs=pairs,
        exact_within_lesion=1,
        known={"listed": 18, "found": 17, "certain": 16, "missed": [["a", "b"]]},
        missing={"age": 57, "sex": 0, "site": 0, "lesion_id": 0, "mask": 236},
        disagreeing=({"lesion_ids": ["L1", "L2"], "image_ids": ["a", "b"], "dx": {"mel": 1, "nv": 2}},),
        crossing=(),
    )
    return dataclasses.replace(audit, **changes)


def with_audit(folder, **changes):
    audit = an_audit(**{"index_hash": read_json(folder / "split.json")["index_hash"], **changes})
    write_json(folder / "audit.json", audit.to_json())
    return folder


def test_facts(run_folder):
    facts = dict(audit_summary(read_run(with_audit(run_folder)))["facts"])
    assert facts["Files"] == "236 images, 1 of them unreadable"
    assert facts["Duplicates"].endswith("1 certain, 0 with equal pixels")
    assert facts["Known pairs"] == "17 of 18 published pairs found, 16 certain"
    assert facts["Missing fields"] == "57 without age, 236 without lesion mask"
    assert facts["Labels"] == "1 lesion with more than one diagnosis"
    assert "Crossing" not in facts


def test_tables_are_cut_and_empty_ones_left_out(run_folder):
    tables = audit_summary(read_run(with_audit(run_folder, n_pairs=25)))["tables"]
    assert [table["title"] for table in tables] == [
        "Unreadable files",
        "Suspected pairs, most alike first",
        "Lesions with more than one diagnosis",
    ]
    assert (len(tables[1]["rows"]), tables[1]["more"]) == (LISTED, 15)
    assert tables[1]["rows"][0] == ("IMG_0000a", "IMG_0000b", "mel", "90", "certain, published")
    assert tables[1]["rows"][1] == ("IMG_0001a", "IMG_0001b", "mel, nv", "89", "suspected")
    assert tables[2]["rows"] == [("L1, L2", "mel 1, nv 2")]


def test_the_page_shows_it_escaped(run_folder):
    html = build_report(with_audit(run_folder))
    assert "&lt;b&gt;cut short&lt;/b&gt;" in html
    assert "236 images, 1 of them unreadable" in html
    assert "this run has no <code>audit.json</code>" not in html


def test_an_audit_of_the_split_tells_of_crossing_lesions(run_folder):
    split_hash = read_json(run_folder / "split.json")["hash"]
    summary = audit_summary(read_run(with_audit(run_folder, split_hash=split_hash)))
    assert ("Crossing", "0 lesions with images in more than one split") in summary["facts"]


def test_an_audit_of_0_1_0_shows_its_correlations(run_folder):
    with_audit(run_folder)
    audit = read_json(run_folder / "audit.json")
    for pair in audit["pairs"]:
        del pair["keypoints"]
        pair["correlation"] = 0.5
    write_json(run_folder / "audit.json", audit)
    assert audit_summary(read_run(run_folder))["tables"][1]["rows"][0][3] == "0.50"


def test_no_audit(run_folder):
    assert audit_summary(read_run(run_folder)) is None


@pytest.mark.parametrize("name", ["index_hash", "split_hash"])
def test_an_audit_of_something_else_is_stale(run_folder, name):
    with_audit(run_folder, **{name: "0" * 64})
    with pytest.raises(ArtifactError, match=f"made from another {name.removesuffix('_hash')}"):
        read_run(run_folder)


def test_something_else_is_no_audit(run_folder):
    write_json(run_folder / "audit.json", {"index_hash": "", "split_hash": ""})
    with pytest.raises(ArtifactError, match="is not an audit"):
        build_report(run_folder)
