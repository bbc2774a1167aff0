from hypothesis import given
from hypothesis import strategies as st

from lesionlens.serving.identifiers import Identifiers, first_of, is_identifier, request_id


def test_they_sort_by_time_and_never_repeat():
    maker = Identifiers()
    made = [maker.new() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == 2000
    assert all(is_identifier(one) for one in made)


def test_a_clock_that_goes_back_does_not_matter():
    maker = Identifiers()
    first = maker.new(time_ms=2000)
    assert maker.new(time_ms=1000) > first


@given(st.integers(0, 2**48 - 2))
def test_first_of_a_millisecond_is_below_what_is_made_in_it(time_ms):
    made = Identifiers().new(time_ms)
    assert first_of(time_ms) <= made < first_of(time_ms + 1)


def test_by_hand():
    # 1469918176385 ms is the example of the ULID specification.
    assert first_of(1469918176385)[:10] == "01ARYZ6S41"


def test_what_is_none():
    for text in (
        "",
        "x" * 26,
        "8" + "0" * 25,
        "0" * 25,
        "0" * 27,
        "01M82VDBJZ10K4N0HN98RYPJT5\n",
        "' OR 1=1 --",
        "../../../etc/passwd",
    ):
        assert not is_identifier(text)


def test_request_ids_of_clients_are_kept_only_if_harmless():
    assert request_id("abc-1.2_Z") == "abc-1.2_Z"
    for text in ("", "a" * 65, "a b", "a\nb", "<b>", "é", 'x"y'):
        made = request_id(text)
        assert made != text
        assert len(made) == 16
