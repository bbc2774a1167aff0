import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.bundle.bundle import open_bundle, read_bundle, write_facts
from lesionlens.bundle.card_html import CARD_HTML_FILE, SAFE, card_html, read_card_html
from lesionlens.core.errors import BundleError

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "<https://evil.example>",
    "a|<b>\n-|-\n<i>|x",
    "7. seven",
    "&lt;script&gt; &#60;b&#62;",
    "<!-- x -->",
    "<svg/onload=alert(1)>",
)


def test_what_a_card_is_made_of():
    text = "# light\n\n**Not a device.**\n\n## Use\n- For: `x`\n- Not for: *y*\n\n## Data\n| code | n |\n|---|---|\n| mel | 3 |\n"
    assert card_html(text).replace("\n", "") == (
        "<h3>light</h3><p><strong>Not a device.</strong></p><h4>Use</h4><ul><li>For: <code>x</code></li>"
        '<li>Not for: <em>y</em></li></ul><h4>Data</h4><table><thead><tr><th scope="col">code</th><th scope="col">n</th>'
        "</tr></thead><tbody><tr><td>mel</td><td>3</td></tr></tbody></table>"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_html_and_links_stay_text(text):
    html = card_html(f"# {text}\n\n{text}\n\n- {text}\n\n| a |\n|:--|\n| {text} |\n")
    assert SAFE.fullmatch(html)
    assert "href" not in html.replace(text, "")
    for tag in ("<script", "<img", "<a", "<b>", "<i>", "<svg", "<!--"):
        assert tag not in html


@given(st.text(alphabet="<>&\"'`*_#-|[]()!:\\ \nax1./=", max_size=200))
def test_any_text_gives_safe_html(text):
    assert SAFE.fullmatch(card_html(text))


def test_a_bundle_carries_its_card_as_html(small_bundle):
    bundle = open_bundle(small_bundle)
    html = (small_bundle / CARD_HTML_FILE).read_text()
    assert CARD_HTML_FILE in bundle.files
    assert read_card_html(bundle) == html == card_html((small_bundle / "card.md").read_text())
    for part in ("<h3>small</h3>", "<h4>Licences</h4>", "<table>", '<th scope="col">diagnosis</th>'):
        assert part in html


def changed(small_bundle, tmp_path, html):
    """A copy whose card.html is another, or is missing, hashed anew as by somebody who knows how."""
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    (copy / CARD_HTML_FILE).unlink()
    if html:
        (copy / CARD_HTML_FILE).write_text(html)
    facts = {key: value for key, value in read_bundle(copy).facts.items() if key not in ("format", "id", "files")}
    write_facts(copy, facts)
    return open_bundle(copy)


def test_bundles_without_it_are_rendered(small_bundle, tmp_path):
    bundle = changed(small_bundle, tmp_path, "")
    assert CARD_HTML_FILE not in bundle.files
    assert read_card_html(bundle) == (small_bundle / CARD_HTML_FILE).read_text()


@pytest.mark.parametrize(
    "html", ["<p onclick=x>", "<th scope=row>", "<P>", "<script>", "<p", "a <", "</p >", '<a href="x">', "<!-- -->", "<p/>"]
)
def test_a_stranger_s_html_is_refused(small_bundle, tmp_path, html):
    with pytest.raises(BundleError, match="do not trust this bundle"):
        read_card_html(changed(small_bundle, tmp_path, f"<p>good</p>{html}"))
