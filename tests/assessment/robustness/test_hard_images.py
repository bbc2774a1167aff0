"""Hard images: who disagrees, in which order, and one of each lesion."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lesionlens.assessment.robustness.hard_images import disagreeing, disagreement, hard_images, other_seeds
from lesionlens.core.errors import DataError
from lesionlens.core.labels import ISIC2019
from lesionlens.evaluation.predictions import Predictions

Draw = Callable[..., Predictions]


def test_disagreement_by_hand() -> None:
    agree = np.array([[[0.7, 0.3]], [[0.7, 0.3]]])
    split = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert disagreement(agree)[0] == pytest.approx(0)
    assert disagreement(split)[0] == pytest.approx(np.log(2))


def test_only_images_with_another_diagnosis_disagree() -> None:
    probabilities = np.array(
        [
            [[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.5, 0.4, 0.1]],
            [[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.4, 0.5, 0.1]],
            [[0.7, 0.3, 0.0], [0.2, 0.8, 0.0], [0.3, 0.3, 0.4]],
        ]
    )
    images = disagreeing(probabilities, np.array([5, 6, 7]))
    assert [(image.row, image.other, image.count) for image in images] == [(6, 1, 2), (7, 1, 1)]


def test_kinds_take_turns_and_lesions_come_once(draw: Draw) -> None:
    first, second = draw(300), draw(300, seed=1)
    seeds = other_seeds(first, [second], ["other.npz"])
    views = np.stack([first.logits[:100], second.logits[:100]])
    result = hard_images(first, seeds, views, first.image_ids[:100].tolist(), listed=12)
    kinds = [image["kind"] for image in result["images"]]
    assert kinds == ["label", "seeds", "views"] * 4
    assert len({image["lesion_id"] for image in result["images"]}) == 12
    assert result["counts"]["seeds"] == int((first.predicted != second.predicted).sum())
    for image in result["images"]:
        assert image["other"] != (image["label"] if image["kind"] == "label" else image["called"])


def test_without_seeds_and_views_only_labels_are_in_doubt(draw: Draw) -> None:
    result = hard_images(draw(300))
    assert set(result["kinds"]) == {"label"}
    assert np.array(result["confident_joint"]).shape == (7, 7)


def test_seeds_are_put_in_order(draw: Draw) -> None:
    first, second = draw(50), draw(50, seed=1)
    seeds = other_seeds(first, [second.take(np.arange(50)[::-1])], ["other.npz"])
    assert np.allclose(seeds[1], second.probabilities)


def test_seeds_of_other_images_or_diagnoses(draw: Draw) -> None:
    with pytest.raises(DataError, match=r"other.npz lacks 10 images, the first is image_0040; .* lesionlens evaluate CHECKPOINT"):
        other_seeds(draw(50), [draw(50).take(np.arange(40))], ["other.npz"])
    other = replace(draw(50), label_set=ISIC2019, logits=np.zeros((50, 8), np.float32))
    with pytest.raises(DataError, match="other.npz knows akiec bcc bkl df mel nv scc vasc"):
        other_seeds(draw(50), [other], ["other.npz"])
