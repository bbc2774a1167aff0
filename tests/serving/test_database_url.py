"""The password of a URL is in no message."""

import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.serving.database_url import read_database_url, read_record

SECRET = "pa55wort"


def test_a_password_is_not_shown():
    url = read_database_url(f"postgres://ann:{SECRET}%40x@db:5433/log?sslmode=require")
    assert str(url) == "postgresql://ann@db:5433/log"
    assert SECRET not in f"{url} {url!r}"
    assert url.password == f"{SECRET}@x"
    assert url.masked(f"failed for {SECRET}@x and {SECRET}%40x") == "failed for **** and ****"


@pytest.mark.parametrize(
    "text", ["postgresql:///log?host=/run/postgresql", "postgresql://db/log", "postgresql://ann@db,other/log"]
)
def test_urls_without_a_password(text):
    url = read_database_url(text)
    assert (str(url), url.password, url.full) == (text.partition("?")[0], "", text)
    assert url.masked("nothing to hide") == "nothing to hide"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ann:{SECRET}@x@db/log",
        f"postgresql://ann:{SECRET}/x@db/log",
        f"postgresql://ann:{SECRET}?x@db/log",
        f"postgresql://ann:{SECRET}#x@db/log",
        f"postgresql://ann@db/log?password={SECRET}",
        f"postgresql://ann:{SECRET}@[db/log",
        f"mysql://ann:{SECRET}@db/log",
    ],
)
def test_what_cannot_be_read_for_sure_is_refused_unquoted(text):
    with pytest.raises(RecipeError, match="--record") as found:
        read_record(text)
    assert SECRET not in str(found.value)
