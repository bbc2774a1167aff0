"""What CONTRIBUTING.md names exists: files, names in them, targets of make."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
GUIDES = TEXT[TEXT.index("## How to add a network") :]
PLACES = (ROOT, ROOT / "src" / "lesionlens")


def test_every_file_exists():
    paths = set(re.findall(r"`((?:[\w.]+/)+[\w.]*|[A-Z]\w+\.md|\w+\.(?:toml|txt))`", TEXT)) - {"../shared/data"}
    assert len(paths) > 20
    missing = [path for path in paths if not any((place / path).exists() for place in PLACES)]
    assert not missing


def test_every_name_is_in_a_file_that_its_paragraph_names():
    for paragraph in re.split(r"\n(?=\d\. |\n)", GUIDES):
        paths = [place / path for path in re.findall(r"`([\w/]+\.py)`", paragraph) for place in PLACES if (place / path).exists()]
        text = "".join(path.read_text(encoding="utf-8") for path in paths)
        for name in re.findall(r"`([A-Z][A-Z_]+|recognise)`", paragraph):
            assert re.search(rf"\b{name}\b", text), f"{name} is in none of {[path.name for path in paths]}"


def test_every_target_of_make_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
