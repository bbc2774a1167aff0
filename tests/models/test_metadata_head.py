"""The metadata head adds logits to those of the image, and nothing where nothing is known."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lesionlens.core.errors import WeightsError
from lesionlens.core.metadata import Metadata, encode
from lesionlens.core.recipe import ModelRecipe
from lesionlens.explanation.cam import find_head
from lesionlens.models.build import build_network
from lesionlens.models.metadata_head import MetadataHead, WithMetadata, head_of

FIELDS = ("sex", "site")
MODEL = ModelRecipe("test_convnext", weights="none", metadata=FIELDS)


def changed_head(n_classes: int = 3, seed: int = 0) -> MetadataHead:
    torch.manual_seed(seed)
    head = MetadataHead(FIELDS, n_classes)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter))
    return head


def test_nothing_known_adds_nothing():
    head = changed_head()
    nothing, something = (torch.from_numpy(encode([each], FIELDS)) for each in (Metadata(), Metadata(sex="male")))
    assert head(nothing).tolist() == [[0, 0, 0]]
    assert head(something).abs().max() > 0.1


def test_by_hand():
    """One hidden unit that answers to "male" with 2: its output weight, doubled, is added."""
    head = MetadataHead(("sex",), 2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.hidden.weight[0, 2] = 2.0
        head.output.weight[:, 0] = torch.tensor([0.5, -1.0])
    rows = torch.from_numpy(encode([Metadata(sex="male"), Metadata(sex="female")], ["sex"]))
    assert head(rows).tolist() == [[1.0, -2.0], [0.0, 0.0]]


def test_the_network_alone_is_the_image_s_and_keeps_its_closed_form():
    network = build_network(MODEL, 3, 64).eval()
    images = torch.randn(2, 3, 64, 64)
    encoded = torch.from_numpy(encode([Metadata(sex="male"), Metadata()], FIELDS))
    head = head_of(network)
    assert head is not None
    assert head.fields == FIELDS
    with torch.no_grad():
        torch.testing.assert_close(WithMetadata(network)(images, encoded), network(images) + head(encoded))
    assert find_head(network) is not None
    assert head_of(build_network(ModelRecipe("test_convnext", weights="none"), 3)) is None


def test_every_parameter_is_trained():
    network = build_network(MODEL, 3, 64)
    logits = WithMetadata(network)(
        torch.randn(2, 3, 64, 64), torch.from_numpy(encode([Metadata(sex="male"), Metadata()], FIELDS))
    )
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_metadata_decide_where_the_images_cannot():
    head = MetadataHead(("sex",), 2)
    rows, labels = (
        torch.from_numpy(encode([Metadata(sex=sex) for sex in ("male", "female") * 8], ["sex"])),
        torch.tensor([0, 1] * 8),
    )
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(head(rows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert (head(rows).argmax(1) == labels).all()


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    save_file(build_network(ModelRecipe("test_convnext", weights="none"), 3).state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_weights_of_images_alone_fit_and_the_head_starts_anew(backbone):
    network = build_network(ModelRecipe("test_convnext", weights=str(backbone), metadata=FIELDS), 3)
    loaded = build_network(ModelRecipe("test_convnext", weights=str(backbone)), 3).state_dict()
    for name, value in loaded.items():
        torch.testing.assert_close(network.state_dict()[name], value)
    assert head_of(network).output.weight.std() < 0.02


@pytest.mark.parametrize(("metadata", "kept"), [(FIELDS, True), (("age",), False), ((), False)])
def test_a_head_in_the_file_is_kept_only_where_it_fits(tmp_path, metadata, kept):
    torch.manual_seed(4)
    trained = build_network(MODEL, 3)
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    network = build_network(ModelRecipe("test_convnext", weights=str(tmp_path / "w.safetensors"), metadata=metadata), 3)
    torch.testing.assert_close(network.stem[0].weight, trained.stem[0].weight)
    if metadata:
        same = network.state_dict()["metadata_head.output.weight"].equal(trained.state_dict()["metadata_head.output.weight"])
        assert same == kept
    else:
        assert head_of(network) is None


def test_a_file_without_the_backbone_does_not_fit(tmp_path):
    head = {f"metadata_head.{name}": value for name, value in changed_head().state_dict().items()}
    save_file(head, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="does not fit test_convnext"):
        build_network(ModelRecipe("test_convnext", weights=str(tmp_path / "w.safetensors"), metadata=FIELDS), 3)
