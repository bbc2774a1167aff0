"""docs/inputs.md is what the readers' own tables say."""

from tests.conftest import ROOT

from lesionlens.core.diagnoses import known_labels
from lesionlens.data.sources.inputs_page import LAYOUTS, inputs_page
from lesionlens.data.sources.source import SOURCES
from lesionlens.data.sources.table import ALIASES


def test_the_page_is_current() -> None:
    written = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    assert written == inputs_page(), "run: python -m lesionlens.data.sources.inputs_page > docs/inputs.md"


def test_it_tells_of_every_layout_column_and_diagnosis() -> None:
    page = inputs_page()
    assert {layout.name for layout in LAYOUTS} == set(SOURCES)
    assert all(f"`{name}`" in page for names in ALIASES.values() for name in names)
    assert all(f"| `{diagnosis.code}` | {diagnosis.name} |" in page for diagnosis in known_labels())
