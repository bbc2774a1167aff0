import pytest
from starlette.datastructures import Headers

from lesionlens.serving.guard import Guard, loopback_hosts
from lesionlens.serving.problems import Problem

LOCAL = Guard(loopback_hosts(()), open_to_all=True)
CLINIC = Guard(("clinic.example",), open_to_all=False)


def code(guard, path="/v1/model", **headers):
    try:
        guard.check(Headers({name.replace("_", "-"): value for name, value in headers.items()}), path)
    except Problem as problem:
        return problem.code
    return ""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_own_names(host):
    assert code(LOCAL, host=host) == ""


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "a b",
        "localhost:80/x",
        "[::1",
        "evil@localhost",
    ],
)
def test_names_that_were_pointed_here(host):
    assert code(LOCAL, host=host) == "host_not_allowed"
    assert code(LOCAL, "/", host=host) == "host_not_allowed"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"origin": "ftp://localhost:8000"},
        {"origin": "http://localhost:8000.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_pages_of_others(headers):
    assert code(LOCAL, host="localhost:8000", **headers) == "origin_not_allowed"
    assert code(LOCAL, "/", host="localhost:8000", **headers) == ""  # the page itself may be linked to


def test_the_own_page():
    assert code(LOCAL, host="localhost:8000", origin="http://localhost:8000", sec_fetch_site="same-origin") == ""


def test_a_proxy_in_front_of_an_open_server():
    assert code(LOCAL, host="localhost", x_forwarded_for="10.0.0.1") == "proxy_without_tokens"
    assert code(CLINIC, host="clinic.example", x_forwarded_for="10.0.0.1") == ""


def test_behind_a_proxy_that_keeps_or_changes_the_host():
    assert code(CLINIC, host="clinic.example", origin="https://clinic.example") == ""
    assert code(CLINIC, host="clinic.example", origin="https://other.example") == "origin_not_allowed"
    own = Guard(loopback_hosts(("clinic.example",)), open_to_all=False)
    assert code(own, host="127.0.0.1:8000", origin="https://clinic.example") == ""
    assert code(own, host="127.0.0.1:8000", origin="http://localhost:5000") == "origin_not_allowed"


def test_without_names_any_host_will_do_but_a_page_must_be_its_own():
    open_guard = Guard((), open_to_all=False)
    assert code(open_guard, host="10.0.0.5:8000") == ""
    assert code(open_guard, host="10.0.0.5:8000", origin="http://evil.example") == "origin_not_allowed"
