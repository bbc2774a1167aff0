import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.data.image import InputSpec
from lesionlens.evaluation import predict
from lesionlens.evaluation.predict import square_views

SPEC = InputSpec(size=32, frame=40, resize="squash", mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))


def predict_logits(*arguments, precision="fp32", **options):
    return predict.predict_logits(*arguments, precision=precision, **options)


def frames(n: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 40, 40, 3), dtype=np.uint8)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        nn.Linear(72, 4),
    )  # fmt: skip


class ChannelMeans(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, images):
        assert images.shape[2:] == (32, 32)
        return self.one * images.mean((2, 3))


def test_by_hand():
    images = np.zeros((1, 40, 40, 3), np.uint8)  # a black frame around a centre of (255, 102, 0)
    images[:, 4:36, 4:36] = (255, 102, 0)
    logits = predict_logits(ChannelMeans(), images, SPEC)
    np.testing.assert_allclose(logits, [[(1 - 0.5) / 0.2, 0.0, -0.3 / 0.5]], atol=1e-6)
    assert logits.dtype == np.float32


def test_batches_and_rows_do_not_matter():
    network, images = small_network(), frames()
    whole = predict_logits(network, images, SPEC)
    np.testing.assert_allclose(predict_logits(network, images, SPEC, batch_size=2), whole, atol=1e-5)
    rows = np.array([5, 0, 3])
    np.testing.assert_allclose(predict_logits(network, images, SPEC, rows=rows, batch_size=2), whole[rows], atol=1e-5)


def test_memory_map_is_read(tmp_path):
    np.save(tmp_path / "images.npy", frames())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    network = small_network()
    np.testing.assert_array_equal(predict_logits(network, mapped, SPEC), predict_logits(network, frames(), SPEC))


def test_network_is_used_in_evaluation_mode_and_given_back():
    network = small_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = (predict_logits(network, frames(), SPEC) for _ in range(2))
    np.testing.assert_array_equal(first, second)  # no dropout
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(RuntimeError):
        predict_logits(network, frames()[..., :2], SPEC)
    assert network.training


def test_views_are_the_eight_of_the_square():
    image = torch.arange(9).reshape(1, 1, 3, 3)
    views = [tuple(view.flatten().tolist()) for view in square_views(image)]
    assert views[0] == tuple(range(9))
    assert len(set(views)) == 8
    turned = [tuple(view.flatten().tolist()) for view in square_views(torch.rot90(image, 1, (2, 3)))]
    assert set(views) == set(turned)


def test_eight_views_average_probabilities():
    network, images = small_network().eval(), frames(3)
    mean, std = (255 * torch.tensor(value).view(1, 3, 1, 1) for value in (SPEC.mean, SPEC.std))
    pixels = torch.from_numpy(images[:, 4:36, 4:36]).permute(0, 3, 1, 2)
    with torch.no_grad():
        each = [network((view.float() - mean) / std).softmax(1) for view in square_views(pixels)]
    logits = predict_logits(network, images, SPEC, views=8)
    np.testing.assert_allclose(np.exp(logits), torch.stack(each).mean(0), atol=1e-6)
    np.testing.assert_allclose(np.exp(logits).sum(1), 1, atol=1e-6)


def test_eight_views_see_a_turned_or_mirrored_image_alike():
    network, images = small_network(), frames(3)
    straight = predict_logits(network, images, SPEC, views=8)
    for other in (np.rot90(images, 1, (1, 2)), images[:, :, ::-1], images[:, ::-1]):
        np.testing.assert_allclose(predict_logits(network, np.ascontiguousarray(other), SPEC, views=8), straight, atol=1e-5)
        assert not np.allclose(predict_logits(network, np.ascontiguousarray(other), SPEC), predict_logits(network, images, SPEC))


def test_bf16_is_close_to_fp32():
    network, images = small_network(), frames()
    full, half = (predict_logits(network, images, SPEC, precision=name) for name in ("fp32", "bf16"))
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.05)  # bf16 keeps 8 bits
    assert (half != full).any()


def test_progress_counts_images():
    seen = []
    predict_logits(small_network(), frames(), SPEC, batch_size=3, progress=seen.append)
    assert seen == [3, 3, 1]


def test_nan_is_an_error():
    network = small_network()
    nn.init.constant_(network[-1].bias, float("nan"))
    with pytest.raises(ModelError, match="NaN or infinity for 2 of 2 images"):
        predict_logits(network, frames(), SPEC, rows=np.array([4, 2]))


@pytest.mark.parametrize("options", [{"views": 4}, {"precision": "fp16"}])
def test_bad_options_are_refused(options):
    with pytest.raises(RecipeError):
        predict_logits(small_network(), frames(), SPEC, **options)
