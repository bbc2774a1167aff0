"""The page of the server becomes the page of a site: marked parts are cut out or filled."""

from __future__ import annotations

import re
from collections.abc import Mapping

SERVER_PART = re.compile(r"[ \t]*<!-- server -->.*?<!-- /server -->\n?", re.DOTALL)
SITE_PLACE = re.compile(r"[ \t]*<!-- site: (\w+) -->\n")


def page_text(text: str, fragments: Mapping[str, str]) -> str:
    """The HTML of a site.

    Args:
        text: HTML of the server's page. What stands between `<!-- server -->` and `<!-- /server -->` goes;
            `<!-- site: NAME -->` is replaced by the fragment of that name.
        fragments: HTML by name.

    Raises:
        ValueError: if the places in `text` are not those of `fragments`.

    Example:
        >>> page_text("<p>a</p>\\n<!-- server -->b<!-- /server -->\\n<!-- site: note -->\\n", {"note": "<p>c</p>\\n"})
        '<p>a</p>\\n<p>c</p>\\n'
    """
    text = SERVER_PART.sub("", text)
    places = SITE_PLACE.findall(text)
    if sorted(places) != sorted(fragments):
        raise ValueError(f"the page has places for {sorted(places)}, the fragments are {sorted(fragments)}")
    return SITE_PLACE.sub(lambda match: fragments[match[1]], text)
