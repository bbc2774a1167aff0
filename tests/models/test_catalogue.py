"""Names of networks, and what is known of their input."""

import pytest

from lesionlens.models.catalogue import OWN, input_config, is_network, known_names
from lesionlens.models.operators import timm


def test_own_networks_hide_none_of_timm():
    assert not [name for name in OWN if timm().is_model(name)]


def test_names_are_those_that_can_be_asked_for():
    names = known_names()
    assert len(names) == len(set(names)) > 1000
    assert all(is_network(name) for name in names[:30])
    assert not is_network("alexnett")


@pytest.mark.parametrize(
    ("name", "size", "fixed", "mean"),
    [("swin_tiny_patch4_window7_224", 224, True, 0.485), ("legacy_xception", 299, False, 0.5), ("alexnet", 224, False, 0.485)],
)
def test_what_is_known_of_the_input(name, size, fixed, mean):
    config = input_config(name)
    assert config is not None
    assert (config.input_size, config.fixed_input_size, config.mean[0]) == ((3, size, size), fixed, mean)
