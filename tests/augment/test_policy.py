"""The policy: table 3 to the letter, and each image a function of itself, its seed and the policy alone."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.augment.policy import TRANSFORMS, Policy, table_3
from lesionlens.augment.transform import augment
from lesionlens.core.errors import DataError, LesionLensError, RecipeError

NOTHING = table_3(dict.fromkeys(TRANSFORMS, 0.0))
ALWAYS = table_3(dict.fromkeys(TRANSFORMS, 1.0))


def batch_of(count: int, height: int = 40, width: int = 48, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


def test_table_3_to_the_letter() -> None:
    policy = table_3()
    assert [policy.probability(name) for name in TRANSFORMS] == [0.5, 0.5, 0.9, 0.7, 0.7, 0.5, 0.5, 0.5, 0.2, 0.3]
    assert (policy.shift, policy.scale, policy.rotate_deg) == (0.1, 0.2, 45)
    assert (policy.brightness, policy.contrast) == (0.2, 0.2)
    assert (policy.hue, policy.saturation, policy.value) == (10, 3, 20)
    assert policy.noise_variance == (10, 50)
    assert policy.holes == (5, 8)
    assert (policy.grid_steps, policy.grid_distort, policy.hole_side) == (5, 0.3, (0.1, 0.2))  # library defaults


def test_overrides_and_hash() -> None:
    policy = table_3({"gaussian_blur": 0.0, "coarse_dropout": 1.0})
    assert (policy.gaussian_blur, policy.coarse_dropout, policy.motion_blur) == (0.0, 1.0, 0.5)
    assert policy.hash != table_3().hash == Policy().hash
    assert len({dataclasses.replace(Policy(), hue=float(hue)).hash for hue in range(10)}) == 10
    alone = Policy().only("motion_blur")
    assert [alone.probability(name) for name in TRANSFORMS] == [float(name == "motion_blur") for name in TRANSFORMS]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: table_3({"gausian_blur": 0.5}), "gausian_blur"),
        (lambda: table_3({"gaussian_blur": 1.5}), "gaussian_blur = 1.5"),
        (lambda: table_3({"gaussian_blur": float("nan")}), "gaussian_blur = nan"),
        (lambda: Policy(rotate_deg=-1), "rotate_deg = -1"),
        (lambda: Policy(scale=1.0), "scale"),
        (lambda: Policy(noise_variance=(50, 10)), "noise_variance"),
        (lambda: Policy(holes=(0, 3)), "holes"),
        (lambda: Policy(grid_steps=0), "grid_steps"),
    ],
)
def test_wrong_policies_are_refused(make, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        make()


@pytest.mark.parametrize("name", [*TRANSFORMS, "all", "table 3"])
class TestEveryTransform:
    """What holds for each transform alone, for all of them together, and for table 3's mixture."""

    @staticmethod
    def policy(name: str) -> Policy:
        return {"all": ALWAYS, "table 3": table_3()}.get(name) or Policy().only(name)

    def test_shape_type_and_range_stay(self, name: str) -> None:
        images = batch_of(7)
        before = images.clone()
        result = augment(images, range(7), self.policy(name))
        assert result.shape == images.shape
        assert result.dtype == torch.uint8
        assert torch.equal(images, before)
        assert result.data_ptr() != images.data_ptr()

    def test_something_changes(self, name: str) -> None:
        assert not torch.equal(augment(batch_of(7), range(7), self.policy(name)), batch_of(7))

    def test_the_same_seed_gives_the_same_image(self, name: str) -> None:
        policy = self.policy(name)
        first, again = augment(batch_of(7), range(7), policy), augment(batch_of(7), range(7), policy)
        assert torch.equal(first, again)
        same_image = batch_of(1).repeat(12, 1, 1, 1)
        if "flip" not in name:
            assert len({image.numpy().tobytes() for image in augment(same_image, range(12), policy)}) > 6

    def test_batch_and_order_do_not_matter(self, name: str) -> None:
        policy, images, seeds = self.policy(name), batch_of(9), [5, 5, 2**62, 0, 17, 3, 99, 1, 4]
        together = augment(images, seeds, policy)
        order = [4, 0, 8, 2, 7, 1, 3, 6, 5]
        assert torch.equal(augment(images[order], [seeds[n] for n in order], policy), together[order])
        alone = torch.cat([augment(images[n : n + 1], seeds[n : n + 1], policy) for n in range(9)])
        assert torch.equal(alone, together)

    def test_threads_do_not_matter(self, name: str) -> None:
        # 149 x 151: no count of pixels that a core's registers divide, and enough for torch to use threads.
        images, policy = batch_of(5, 149, 151), self.policy(name)
        torch.set_num_threads(1)
        single = augment(images, range(5), policy)
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert torch.equal(augment(images, range(5), policy), single)

    def test_memory_format_stays_and_does_not_matter(self, name: str) -> None:
        images, policy = batch_of(4), self.policy(name)
        plain = augment(images, range(4), policy)
        last = augment(images.contiguous(memory_format=torch.channels_last), range(4), policy)
        assert plain.is_contiguous()
        assert last.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(plain, last)
        framed = batch_of(4, 60, 60)
        framed[:, :, 7:47, 5:53] = images
        assert torch.equal(augment(framed[:, :, 7:47, 5:53], range(4), policy), plain)


def test_nothing_drawn_nothing_changed() -> None:
    assert torch.equal(augment(batch_of(5), range(5), NOTHING), batch_of(5))
    assert augment(batch_of(0), [], table_3()).shape == (0, 3, 40, 48)


def test_flips_are_exact() -> None:
    assert torch.equal(augment(batch_of(5), range(5), Policy().only("horizontal_flip")), batch_of(5).flip(3))
    assert torch.equal(augment(batch_of(5), range(5), Policy().only("vertical_flip")), batch_of(5).flip(2))


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=6),
    height=st.integers(16, 40),
    width=st.integers(16, 40),
    probabilities=st.dictionaries(st.sampled_from(TRANSFORMS), st.floats(0, 1), max_size=10),
    grey=st.integers(0, 255),
)
def test_an_image_depends_on_itself_its_seed_and_the_policy(seeds, height, width, probabilities, grey) -> None:
    policy, images = table_3(probabilities), batch_of(len(seeds), height, width)
    images[0] = grey
    together = augment(images, seeds, policy)
    for number, seed in enumerate(seeds):
        assert torch.equal(augment(images[number : number + 1], [seed], policy)[0], together[number])


@settings(max_examples=20, deadline=None)
@given(grey=st.integers(0, 255), seed=st.integers(0, 2**63))
def test_geometry_and_blur_leave_a_plain_image_plain(grey: int, seed: int) -> None:
    moving = ("horizontal_flip", "vertical_flip", "shift_scale_rotate", "gaussian_blur", "motion_blur", "grid_distortion")
    policy = table_3({name: float(name in moving) for name in TRANSFORMS})
    images = torch.full((1, 3, 33, 41), grey, dtype=torch.uint8)
    assert torch.equal(augment(images, [seed], policy), images)


def test_mean_level_of_noise_and_holes() -> None:
    images = torch.full((60, 3, 64, 64), 120, dtype=torch.uint8)
    noisy = augment(images, range(60), Policy().only("gaussian_noise")).double() - 120
    assert abs(noisy.mean()) < 0.05
    variances = noisy.reshape(60, -1).var(1)
    assert 9.5 < variances.min() < 15  # variance of rounding, 1/12, included
    assert 45 < variances.max() < 51.5
    holed = augment(images, range(60), Policy().only("coarse_dropout"))
    assert set(holed.unique().tolist()) == {0, 120}
    assert 0.08 < (holed == 0).double().mean() < 0.16  # 6.5 holes of 0.15 x 0.15, less what overlaps


@pytest.mark.slow
def test_another_process_with_another_number_of_threads_agrees() -> None:
    program = """
import hashlib, torch
from lesionlens.augment.policy import table_3
from lesionlens.augment.transform import augment
torch.set_num_threads(2)
images = (torch.arange(4 * 3 * 90 * 97) * 7919 % 256).to(torch.uint8).view(4, 3, 90, 97)
print(hashlib.sha256(augment(images, [3, 1, 4, 1], table_3()).numpy().tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    images = (torch.arange(4 * 3 * 90 * 97) * 7919 % 256).to(torch.uint8).view(4, 3, 90, 97)
    here = augment(images, [3, 1, 4, 1], table_3()).numpy()
    assert done.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("images", "seeds"),
    [
        (torch.zeros(1, 3, 32, 32), [1]),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), [1]),
        (torch.zeros(1, 32, 32, 3, dtype=torch.uint8), [1]),
        (torch.zeros(1, 3, 15, 32, dtype=torch.uint8), [1]),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [1]),
    ],
)
def test_wrong_batches_are_refused(images: torch.Tensor, seeds: list[int]) -> None:
    with pytest.raises(DataError, match="augment got") as caught:
        augment(images, seeds, table_3())
    assert isinstance(caught.value, LesionLensError)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", [*TRANSFORMS, "table 3"])
def test_gpu_agrees_with_cpu(name: str) -> None:
    policy = TestEveryTransform.policy(name)
    images = torch.nn.functional.interpolate(batch_of(8, 9, 9).float(), (64, 80), mode="bilinear").round().to(torch.uint8)
    there = augment(images.cuda(), range(8), policy).cpu()
    difference = (there.int() - augment(images, range(8), policy).int()).abs().numpy()
    assert np.quantile(difference, 0.999) <= 1
    assert torch.equal(there[3:4], augment(images[3:4].cuda(), [3], policy).cpu())
