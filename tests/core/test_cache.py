from pathlib import Path

import pytest

from lesionlens.core import cache
from lesionlens.core.cache import cache_folder


@pytest.fixture(autouse=True)
def home(monkeypatch):
    for name in ("LESIONLENS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {}, "/home/ada/.cache/lesionlens"),
        ("linux", {"XDG_CACHE_HOME": "/var/cache/ada"}, "/var/cache/ada/lesionlens"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/ada/.cache/lesionlens"),
        ("darwin", {"XDG_CACHE_HOME": "/var/cache/ada"}, "/home/ada/Library/Caches/lesionlens"),
        ("win32", {"LOCALAPPDATA": "/data"}, "/data/lesionlens/Cache"),
        ("win32", {}, "/home/ada/AppData/Local/lesionlens/Cache"),
        ("linux", {"LESIONLENS_CACHE": "/mnt/box", "XDG_CACHE_HOME": "/x"}, "/mnt/box"),
        ("linux", {"LESIONLENS_CACHE": "~/box"}, "/home/ada/box"),
        ("linux", {"LESIONLENS_CACHE": "off"}, None),
        ("linux", {"LESIONLENS_CACHE": " OFF "}, None),
    ],
)
def test_the_places_of_each_system(system, variables, expected, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.sys, "platform", system)
    assert cache_folder() == (None if expected is None else Path(expected))


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache.Path, "home", no_home)
    assert cache_folder() is None
