"""What may be said of other systems on the command line."""

import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.interop.settings import DicomTarget, ExchangeSettings, check_url, read_peer, read_secret, read_target


def test_peers_are_a_title_and_addresses():
    one, net = read_peer("SCOPE@192.0.2.7"), read_peer("SCOPE 2@2001:db8::/32")
    assert one.matches("SCOPE", "192.0.2.7")
    assert one.matches("SCOPE", "::ffff:192.0.2.7")
    assert not one.matches("SCOPE", "192.0.2.8")
    assert not one.matches("scope", "192.0.2.7")
    assert net.matches("SCOPE 2", "2001:db8::1")


@pytest.mark.parametrize("text", ["SCOPE", "@192.0.2.7", "SCOPE@", "SCOPE@host", "SCOPE@192.0.2.7/24", "x" * 17 + "@192.0.2.7"])
def test_other_peers_are_refused(text):
    with pytest.raises(RecipeError, match="--dicom-allow"):
        read_peer(text)


def test_targets():
    assert read_target("ARCHIVE@pacs.example:11112") == DicomTarget("ARCHIVE", "pacs.example", 11112)
    assert read_target("A@[2001:db8::1]:104").host == "2001:db8::1"


@pytest.mark.parametrize("text", ["ARCHIVE", "ARCHIVE@host", "ARCHIVE@host:0", "ARCHIVE@:104", "a\\b@host:104", "A@host:port"])
def test_other_targets_are_refused(text):
    with pytest.raises(RecipeError, match="--dicom-target"):
        read_target(text)


@pytest.mark.parametrize("url", ["ftp://host", "host/fhir", "http://", "https://host/fhir?x=1", "https://host/#a"])
def test_other_urls_are_refused(url):
    with pytest.raises(RecipeError, match="--fhir-target"):
        check_url(url, "--fhir-target")


def test_a_url_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(RecipeError) as caught:
        check_url("https://user:hunter2@host", "--webhook")
    assert "hunter2" not in str(caught.value)


def test_a_secret_is_one_line_for_its_owner(tmp_path):
    path = tmp_path / "token"
    with pytest.raises(RecipeError, match="there is no file"):
        read_secret(path)
    path.write_text("abc\n")
    path.chmod(0o644)
    with pytest.raises(RecipeError, match="chmod 600"):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == "abc"
    path.write_text("a\nb\n")
    with pytest.raises(RecipeError, match="one line"):
        read_secret(path)


def test_what_does_not_fit_together_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="add --dicom PORT"):
        ExchangeSettings(dicom_target=DicomTarget("A", "host", 104))
    with pytest.raises(RecipeError, match="fhir target"):
        ExchangeSettings(fhir_token=tmp_path)
    with pytest.raises(RecipeError, match="dicom port 70000"):
        ExchangeSettings(dicom_port=70000)
    assert ExchangeSettings().sends == ()
    assert ExchangeSettings(dicom_port=0, dicom_target=DicomTarget("A", "h", 1), webhook="http://h").sends == (
        "sr",
        "sc",
        "webhook",
    )
