"""The model card as HTML: rendered once at export, and safe to put into a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from lesionlens.bundle.bundle import CARD_FILE, Bundle
from lesionlens.bundle.card import card
from lesionlens.core.errors import BundleError

CARD_HTML_FILE = "card.html"
TOP_LEVEL = 3  # of the card's first heading: a page has its own headings above
RULES = ("heading", "list", "table", "emphasis", "backticks")
SAFE = re.compile(r"[^<]*(?:</?(?:h[1-6]|p|ul|ol|li|strong|em|code|table|thead|tbody|tr|th|td)>[^<]*|<th scope=\"col\">[^<]*)*")


def card_html(text: str, top_level: int = TOP_LEVEL) -> str:
    """Render a card's Markdown: headings, paragraphs, lists, tables, bold, emphasis and code.

    The only attribute is the scope of a column's header. Anything else in the text, HTML and links above all, stays text.

    >>> card_html("# demo <b>")
    '<h3>demo &lt;b&gt;</h3>\\n'

    Args:
        text: Markdown.
        top_level: level of its first heading in the page, 1 to 6.
    """
    parser = MarkdownIt("zero", {"html": False}).enable(RULES)
    tokens = parser.parse(text)
    for token in tokens:
        token.attrs = {"scope": "col"} if token.type == "th_open" else {}  # nor the start of a list, nor a column's style
        if token.tag.startswith("h"):
            token.tag = f"h{min(6, int(token.tag[1]) + top_level - 1)}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def write_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the card of a bundle, as Markdown and as HTML.

    Args:
        folder: of the bundle that is being written.
        facts: the content of bundle.json, see docs/bundle.md.
    """
    text = card(facts)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    (folder / CARD_HTML_FILE).write_text(card_html(text), encoding="utf-8")


def read_card_html(bundle: Bundle) -> str:
    """The card of a bundle as HTML; bundles of lesionlens 0.1 have Markdown only, which is rendered here.

    Raises:
        BundleError: if the HTML holds anything that `card_html` never writes.
    """
    if CARD_HTML_FILE not in bundle.files:
        return card_html((bundle.path / CARD_FILE).read_text(encoding="utf-8"))
    text = (bundle.path / CARD_HTML_FILE).read_text(encoding="utf-8")
    if not SAFE.fullmatch(text):
        raise BundleError(
            f"bundle {bundle.path}: {CARD_HTML_FILE} holds HTML that lesionlens does not write, such as links or scripts; "
            "do not trust this bundle, or export it again"
        )
    return text
