import re

from lesionlens.reporting.documents.page import card_page
from lesionlens.reporting.documents.run_card import run_card


def test_the_page_needs_nothing_else_and_has_one_heading(plain_facts):
    page = card_page(plain_facts, run_card(plain_facts))
    assert "<h1>made up</h1>" in page
    assert page.count("<h1") == 1
    assert "<h2>In short</h2>" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="', page)
    assert "default-src 'none'" in page


def test_tables_scroll_alone_and_hostile_names_stay_text(plain_facts):
    page = card_page(plain_facts, "# <script>x</script>\n\n| a |\n|---|\n| <b> |\n")
    assert page.count('<div class="scroll"') == page.count("</table></div>") == 1
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
