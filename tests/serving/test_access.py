import hashlib
import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.serving import access
from lesionlens.serving.access import Access, Caller, create_token, read_tokens, revoke_token
from lesionlens.serving.problems import Problem

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


def refused(checker, header, now=NOW):
    with pytest.raises(Problem) as found:
        checker.caller(header, now)
    return found.value


def test_a_token_opens_the_door_and_only_its_hash_is_kept(path):
    secret = create_token(path, "clinic", "review", now=NOW)
    assert re.fullmatch(r"ll_[\w-]{43}", secret)
    assert secret not in path.read_text()
    assert read_tokens(path)[0].sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Access(path).caller(f"Bearer {secret}", NOW) == Caller("clinic", "review")
    assert Access(path).caller(f"bearer   {secret} ", NOW) == Caller("clinic", "review")


def test_without_a_file_everyone_may():
    assert Access(None).caller("") == Caller("local", "review")
    assert not Access(None).required


def test_an_empty_or_missing_file_lets_nobody_in(path):
    assert refused(Access(path), "Bearer ll_x").code == "token_invalid"
    path.write_text('{"format": 1, "tokens": []}')
    assert refused(Access(path), "Bearer ll_x").code == "token_invalid"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "ll_secret"])
def test_a_missing_token_is_told_apart(path, header):
    problem = refused(Access(path), header)
    assert (problem.code, problem.status) == ("token_missing", 401)
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="lesionlens"'


def test_a_token_ends_when_it_says(path):
    secret = create_token(path, "short", "predict", "90m", now=NOW)
    checker = Access(path)
    assert checker.caller(f"Bearer {secret}", NOW + timedelta(minutes=89)).role == "predict"
    problem = refused(checker, f"Bearer {secret}", NOW + timedelta(minutes=90))
    assert problem.code == "token_expired"
    assert "invalid_token" in problem.headers["WWW-Authenticate"]


def test_a_revoked_token_is_refused_at_once_and_its_name_stays_taken(path):
    secret = create_token(path, "lost", "predict", now=NOW)
    checker = Access(path)
    checker.caller(f"Bearer {secret}", NOW)
    revoke_token(path, "lost", NOW)
    assert refused(checker, f"Bearer {secret}").code == "token_revoked"
    with pytest.raises(RecipeError, match="already"):
        create_token(path, "lost", "predict")


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.swapcase(), lambda s: s[3:], lambda s: "é" + s]
)
def test_no_other_token_is_known(path, change):
    secret = create_token(path, "a", "predict", now=NOW)
    assert refused(Access(path), f"Bearer {change(secret)}").code == "token_invalid"


def test_every_token_is_compared_in_constant_time(path, monkeypatch):
    secrets = [create_token(path, f"t{number}", "predict", now=NOW) for number in range(5)]
    compared = []
    original = access.hmac.compare_digest
    monkeypatch.setattr(access.hmac, "compare_digest", lambda one, other: compared.append(one) or original(one, other))
    checker = Access(path)
    for header in (secrets[0], secrets[4], "ll_unknown"):
        compared.clear()
        with suppress(Problem):
            checker.caller(f"Bearer {header}", NOW)
        assert len(compared) == 5


def test_roles():
    Caller("local", "review").require_review()
    Caller("x", "review").require_review()
    with pytest.raises(Problem) as found:
        Caller("x", "predict").require_review()
    assert (found.value.code, found.value.status) == ("role_missing", 403)


@pytest.mark.parametrize(
    ("name", "role", "expires"),
    [
        ("", "predict", ""),
        ("a b", "predict", ""),
        ("a\n", "predict", ""),
        ("local", "predict", ""),
        ("a", "admin", ""),
        ("a", "predict", "0d"),
        ("a", "predict", "5"),
        ("a", "predict", "1y"),
    ],
)
def test_arguments_out_of_range(path, name, role, expires):
    with pytest.raises(RecipeError):
        create_token(path, name, role, expires)
    assert not path.exists()


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"format": 2, "tokens": []}', '{"format": 1, "tokens": [{"name": "x"}]}', "not json"]
)
def test_a_damaged_file_is_an_error_and_never_an_open_door(path, text):
    path.write_text(text)
    with pytest.raises(ArtifactError):
        Access(path)


def test_an_unknown_role_in_the_file_is_an_error(path):
    create_token(path, "a", "predict")
    value = json.loads(path.read_text())
    value["tokens"][0]["role"] = "root"
    path.write_text(json.dumps(value))
    os.utime(path)
    with pytest.raises(ArtifactError, match="role"):
        read_tokens(path)


def test_a_revocation_is_not_lost_to_tokens_made_meanwhile(path):
    create_token(path, "lost", "predict")
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(create_token, path, f"t{number}", "predict") for number in range(16)]
        revoke_token(path, "lost")
        for done in made:
            done.result()
    tokens = {token.name: token for token in read_tokens(path)}
    assert len(tokens) == 17
    assert tokens["lost"].revoked
