import pytest

from lesionlens.export.provenance import leak_statement, licences


def test_a_leak_is_said_first():
    leak = "38.6 % of test images show a lesion that is also in training"
    assert leak_statement("paper", True, [leak]).startswith("THE METRICS ARE TOO HIGH BECAUSE THIS SPLIT LEAKS")
    assert leak in leak_statement("paper", True, [leak])
    assert leak_statement("lesion", False, ["0.0 % of test images leak", "0.0 % by patient"]) == (
        "Protocol 'lesion' (images of one lesion or patient never split): 0.0 % of test images leak; 0.0 % by patient."
    )
    assert leak_statement("official", False, []).endswith("there is no test image.")


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
