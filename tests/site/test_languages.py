"""The site in the language of the browser, and right to left."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("tag", "direction"), [("de", "ltr"), ("ar", "rtl")])
def test_the_site_speaks_the_language_of_the_browser(
    small_site: Path, browser: Callable[..., Any], host: Any, tag: str, direction: str
):
    page = browser(options=(f"--accept-lang={tag}",))
    page.open(host(small_site).url, stored=True)
    texts = json.loads((small_site / f"language.{tag}.json").read_text(encoding="utf-8"))["texts"]
    assert page.js("return [document.documentElement.lang, document.documentElement.dir]") == [tag, direction]
    shown = page.text()
    for key in ("private.what", "offline.stored", "foot.licences", "welcome.title", "device.privacy", "translation.unread"):
        assert texts[key] in shown
    assert page.complaints() == []
