import pytest

from lesionlens.export.provenance import leak_statement, licences


def test_a_leak_is_said_first():
    assert leak_statement("paper", True, 0.386).startswith("THE METRICS ARE TOO HIGH BECAUSE THIS SPLIT LEAKS")
    assert "38.6%" in leak_statement("paper", True, 0.386)
    assert leak_statement("lesion", False, 0.0) == (
        "Protocol 'lesion' (images of one lesion never split): the share of test images whose lesion is also in training is 0.0%."
    )
    assert leak_statement("official", False, None).endswith("was not measured.")


@pytest.mark.parametrize(
    ("source", "stated", "expected"),
    [
        ("ham10000", "", "CC BY-NC 4.0"),
        ("ham10000+isic2018", "", "CC BY-NC 4.0"),
        ("synthetic", "", "no patient"),
        ("table", "", "not stated"),
        ("table", "CC0", "CC0"),
    ],
)
def test_licences_follow_the_data(source, stated, expected):
    found = licences(source, "convnext_tiny", "imagenet", stated)
    assert all(expected in found[name] for name in ("data", "weights", "selftest"))
    assert found["code"] == "Apache-2.0"


def test_the_path_of_the_users_weights_stays_at_home():
    assert "secret" not in str(licences("table", "convnext_tiny", "/home/secret/w.safetensors"))
