"""Hashes that checkpoints of 0.1.0 carry: the index and the splits of HAM10000 and of ISIC 2017 must not change."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.audit.corrections import listed_pairs, united_pairs
from lesionlens.data.index import Index, read_index, write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, read_split, write_split


@pytest.fixture(scope="module")
def ham10000(ham10000_root: Path) -> Index:
    return read_source(ham10000_root)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_index_of_ham10000(ham10000: Index, tmp_path: Path) -> None:
    assert ham10000.hash == "39100c5dde5ab2e40fde5a9ccec0fd49f756d34ff088aefbd6a5a21663c66133"
    write_index(ham10000, tmp_path / "index.csv")
    assert sha256(tmp_path / "index.csv") == "fac02a1843e7371b7eb3c147a32efc2aa88e5349933c9b43b713c75f97908bf1"
    assert read_index(tmp_path / "index.csv").hash == ham10000.hash


def test_without_its_origins_the_file_is_that_of_0_1_0(ham10000: Index, tmp_path: Path) -> None:
    records = tuple(replace(record, dx_type="", dataset="") for record in ham10000.records)
    write_index(replace(ham10000, records=records), tmp_path / "index.csv")
    assert sha256(tmp_path / "index.csv") == "ea358266c88b4d9eb5475411e83e24229157c795dd5f728a37d7186b24462dd8"


def test_splits_of_ham10000(ham10000: Index, tmp_path: Path) -> None:
    listed = make_split(ham10000, SplitRecipe(), listed_pairs(ham10000))
    assert listed.hash == "a8f426153a511266b9345fda5be90f643f0e42edbe872221d16982ebb4824d18"
    audited = make_split(ham10000, SplitRecipe(), united_pairs(ham10000, [])[0])
    assert audited.hash == "f21d3d9b0108fd9decf8446bda3d0935da6d9de81f3daa2d9d89692f0679e5e9"
    write_split(audited, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json", ham10000) == audited


def test_index_of_isic_2017(isic2017_root: Path) -> None:
    assert read_source(isic2017_root).hash == "2f6baf71b9752119cce8262cae4c3b68ba67e9a3a8da96bc65b8a5357f289bc0"
