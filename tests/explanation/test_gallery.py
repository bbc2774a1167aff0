import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.explain_images import explain_images
from lesionlens.explanation.explanations import ExplainedModel
from lesionlens.explanation.gallery import OUTLINE, GalleryData, choose_cases, gallery, outlined
from lesionlens.explanation.settings import ExplainSettings


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 6), st.integers(0, 9))
def test_cases_are_distinct_and_show_as_many_diagnoses_as_can_be(labels, count, seed):
    labels = np.array(labels)
    among = np.arange(0, len(labels), 2)
    chosen = choose_cases(labels, among, count, seed)
    assert len(set(chosen)) == len(chosen) == min(count, len(among))
    assert set(chosen) <= set(among.tolist())
    assert len(set(labels[list(chosen)])) == min(count, len(set(labels[among])))
    assert chosen == choose_cases(labels, among[::-1], count, seed)


def test_another_seed_draws_other_cases():
    labels = np.zeros(200, np.int64)
    assert choose_cases(labels, np.arange(200), 4, 0) != choose_cases(labels, np.arange(200), 4, 1)


@pytest.fixture(scope="module", params=["test_resnet", "mobilenetv3_small_050"])
def scene(request, trained_run, explained_images):
    network = trained_run.networks[request.param]
    model = ExplainedModel(network, build_explainer(network, trained_run.spec.size), trained_run.spec)
    explanations = explain_images(model, explained_images, ExplainSettings(curve_images=0))
    return GalleryData(explanations, explained_images, trained_run.spec, trained_run.index.labels)


@pytest.mark.slow
def test_gallery_is_the_same_each_time_and_holds_both_sides(scene):
    first, second = gallery(scene), gallery(scene)
    assert first.tobytes() == second.tobytes()
    pixels = np.asarray(first).astype(int)
    right, wrong = pixels[:, : first.width // 2], pixels[:, first.width // 2 :]
    assert right.std() > 10
    assert wrong.std() > 10


def test_a_side_without_cases_says_so(scene):
    truth = 10 * np.eye(7, dtype=np.float32)[scene.images.labels]
    sure = dataclasses.replace(scene, explanations=dataclasses.replace(scene.explanations, logits=truth))
    picture = gallery(sure, per_side=2)
    pixels = np.asarray(picture)[60:-30, picture.width // 2 + 20 :]
    assert (pixels == 255).all()


def test_outline_runs_along_the_inner_edge():
    mask = np.zeros((6, 6), bool)
    mask[1:5, 2:5] = True
    found = outlined(np.zeros((6, 6, 3), np.uint8), mask)
    edge = (found == OUTLINE).all(2)
    expected = mask.copy()
    expected[2:4, 3] = False
    assert (edge == expected).all()
    assert (outlined(np.zeros((4, 4, 3), np.uint8), np.ones((2, 2), bool)) == 0).all()
    assert (outlined(np.full((4, 4, 3), 7, np.uint8), None) == 7).all()
