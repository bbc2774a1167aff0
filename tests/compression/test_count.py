import pytest
import torch
from torch import nn

from lesionlens.compression.count import Counts, count, paper_count
from lesionlens.compression.quantize import dynamic_int8
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 7)

    def forward(self, images):
        return self.linear(self.norm(self.depthwise(self.conv(images))).mean((2, 3)))


def test_by_hand():
    network = Tiny()
    with torch.no_grad():
        network.conv.bias.zero_()
        network.norm.bias.fill_(1.0)
        network.linear.weight[0].zero_()
    parameters = (4 * 3 * 9 + 4) + 4 * 9 + (4 + 4) + (4 * 7 + 7)
    macs = 8 * 8 * 4 * 27 + 8 * 8 * 4 * 9 + 4 * 7
    assert count(network, 16) == Counts(parameters, parameters - 4 - 4, macs)
    assert network.training, "counting leaves a network as it was"


def test_mobilenetv2_has_the_products_of_its_paper():
    network = build_network(ModelRecipe(name="mobilenetv2_100", weights="none"), 1000)
    found = count(network, 224)
    assert found.macs == pytest.approx(300e6, rel=0.01)  # Sandler 2018, table 4: 300M
    assert found.parameters == pytest.approx(3.4e6, rel=0.04)  # likewise: 3.4M


@pytest.mark.slow
def test_the_papers_count_of_convnext_tiny_to_the_digit():
    network = build_network(ModelRecipe(name="convnext_tiny", weights="none"), 7)
    found = paper_count(network, dynamic_int8(network))
    assert found["fp32"]["parameters"] == 27_825_511  # tables 4 and 5
    assert found["dynamic_int8"]["parameters"] == 1_908_480  # table 11
    assert f"{found['dynamic_int8']['size_mib']:.2f}" == "7.28"  # likewise
    assert found["linear"] == 27_825_511 - 1_908_480
