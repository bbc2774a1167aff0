import json

import pytest
from typer.testing import CliRunner

from lesionlens.cli.main import app

RUN = CliRunner()


def run(*arguments):
    return RUN.invoke(app, ["token", *arguments])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "tokens.json")


def test_a_token_is_printed_once_and_can_be_listed_and_revoked(path):
    made = run("create", "--name", "clinic", "--role", "review", "--expires", "90d", "--tokens", path)
    secret = made.stdout.strip()
    assert (made.exit_code, secret[:3]) == (0, "ll_")
    assert secret not in made.stderr
    listed = run("list", "--tokens", path)
    assert "clinic" in listed.stdout
    assert "usable" in listed.stdout
    assert secret not in listed.stdout
    assert run("revoke", "clinic", "--tokens", path).exit_code == 0
    rows = json.loads(run("list", "--tokens", path, "--json").stdout)["tokens"]
    assert [(row["name"], row["state"]) for row in rows] == [("clinic", "revoked")]


def test_json(path):
    made = json.loads(run("create", "--name", "a", "--role", "predict", "--tokens", path, "--json").stdout)
    assert (made["name"], made["role"]) == ("a", "predict")


def test_without_a_place_it_lies_where_the_state_of_programs_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    run("create", "--name", "a", "--role", "predict")
    assert (tmp_path / "lesionlens" / "tokens.json").is_file()


def test_mistakes(path):
    assert "role" in str(run("create", "--name", "a", "--role", "admin", "--tokens", path).exception)
    assert "no token is called" in str(run("revoke", "a", "--tokens", path).exception)
