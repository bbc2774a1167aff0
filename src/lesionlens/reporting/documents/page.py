"""card.html: the card as one page that needs nothing else, on a phone too."""

from __future__ import annotations

from markupsafe import Markup

from lesionlens import __version__
from lesionlens.bundle.card_html import card_html
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.formats import NARROW
from lesionlens.reporting.style import page_environment, style_sheet

TABLE, IN_BOX = "<table>", '<div class="scroll" role="region" tabindex="0" aria-label="Table"><table>'


def card_page(facts: RunFacts, text: str) -> str:
    """The page of a card.

    Args:
        facts: of the run.
        text: of the card, Markdown without front matter.
    """
    body = card_html(text, top_level=1).replace(TABLE, IN_BOX).replace("</table>", "</table></div>")
    body = body.replace(" %", f"{NARROW}%")
    return (
        page_environment()
        .get_template("card.html")
        .render(title=facts.run.recipe.name, css=style_sheet(facts.run), body=Markup(body), version=__version__)
    )
