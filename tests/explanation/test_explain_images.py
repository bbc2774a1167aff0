import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.bundle.overlay import enlarge
from lesionlens.core.errors import ModelError
from lesionlens.evaluation.predict import predict_logits
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.explain_images import explain_images, load_images, random_order
from lesionlens.explanation.explanations import CONTROLS, CURVES, ORDERS, SOURCES, ExplainedModel
from lesionlens.explanation.localisation import METRICS, localise
from lesionlens.explanation.masks import MaskCount, read_masks
from lesionlens.explanation.settings import ExplainSettings

SETTINGS = ExplainSettings(images_per_pass=16, curve_images=4, curve_steps=3)


@pytest.fixture(scope="module")
def model(trained_run):
    network = trained_run.networks["test_resnet"]
    other = trained_run.networks["mobilenetv3_small_050"]
    bound = [build_explainer(each, trained_run.spec.size) for each in (network, other)]
    return ExplainedModel(network, bound[0], trained_run.spec, (bound[1],))


@pytest.fixture(scope="module")
def explanations(model, explained_images):
    return explain_images(model, explained_images, SETTINGS)


def test_logits_are_those_of_evaluation(explanations, model, explained_images, trained_run):
    rows = trained_run.store.rows([record.image_id for record in explained_images.records])
    wanted = predict_logits(model.network, trained_run.store.images, model.spec, rows=rows, precision="fp32")
    np.testing.assert_allclose(explanations.logits, wanted, rtol=1e-4, atol=1e-5)


def test_metrics_are_those_of_each_image_alone(explanations, model, explained_images):
    for row in (0, len(explained_images) - 1):
        (mask,) = read_masks(explained_images.index, explained_images.records[row : row + 1], model.spec, MaskCount())
        map_ = explanations.map_of(row, int(explanations.predicted[row]))
        alone = localise(enlarge(map_, 64, 64)[None], mask[None])
        for name in METRICS:
            assert explanations.metrics["predicted_class"][name][row] == pytest.approx(getattr(alone, name)[0], rel=1e-5)
        assert explanations.mask_share[row] == mask.mean()


def test_the_size_of_a_batch_changes_nothing_but_the_neighbours(explanations, model, explained_images):
    small = explain_images(model, explained_images, dataclasses.replace(SETTINGS, images_per_pass=5))
    np.testing.assert_allclose(small.maps, explanations.maps, rtol=1e-3, atol=1e-5 * explanations.maps.max())
    for source in set(SOURCES) - {"other_image"}:
        for name in METRICS:
            np.testing.assert_allclose(small.metrics[source][name], explanations.metrics[source][name], atol=0.02)
    for name in CURVES:
        for order in ORDERS:
            np.testing.assert_allclose(small.curves[name][order], explanations.curves[name][order], atol=1e-3)


@pytest.mark.slow
def test_the_network_never_sees_more_than_one_batch(model, explained_images):
    sizes: list[int] = []
    hook = model.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    settings = dataclasses.replace(SETTINGS, images_per_pass=3)
    done: list[int] = []
    explain_images(model, explained_images, settings, done.append)
    hook.remove()
    assert max(sizes) <= 3
    assert sum(done) == len(explained_images)


def test_curves_are_taken_of_the_first_drawn_images(explanations, explained_images):
    first = random_order(len(explained_images), SETTINGS.seed)[:4]
    taken = ~np.isnan(explanations.curves["deletion"]["map"]).any(1)
    assert sorted(np.flatnonzero(taken)) == sorted(first)
    whole = explanations.curves["deletion"]["map"][first, 0]
    exponentials = np.exp(explanations.logits[first])
    np.testing.assert_allclose(whole, exponentials.max(1) / exponentials.sum(1), rtol=1e-3)


@pytest.mark.slow
def test_curves_can_span_batches(explanations, model, explained_images):
    settings = dataclasses.replace(SETTINGS, images_per_pass=3)
    taken = ~np.isnan(explain_images(model, explained_images, settings).curves["insertion"]["random"]).any(1)
    assert taken.sum() == 4


def test_true_and_predicted_maps_agree_where_the_prediction_is_right(explanations, explained_images):
    right = explanations.predicted == explained_images.labels
    ours, true = (explanations.metrics[source]["energy_inside"] for source in ("predicted_class", "true_class"))
    assert right.any()
    assert (ours[right] == true[right]).all()
    assert (ours[~right] != true[~right]).any()


@pytest.mark.slow
def test_another_images_map_is_never_of_the_same_lesion(model, explained_images):
    one_lesion = dataclasses.replace(explained_images, lesion_ids=np.zeros(len(explained_images)))
    found = explain_images(model, one_lesion, SETTINGS)
    assert np.isnan(found.metrics["other_image"]["best_iou"]).all()
    alone = explain_images(model, explained_images, dataclasses.replace(SETTINGS, images_per_pass=1, curve_images=0))
    assert np.isnan(alone.metrics["other_image"]["best_iou"]).all()


def test_without_masks_nothing_is_compared(model, explained_images):
    found = explain_images(model, explained_images, dataclasses.replace(SETTINGS, masks=False, curve_images=0))
    assert all(np.isnan(found.metrics[source][name]).all() for source in SOURCES for name in METRICS)
    assert found.masks.used == 0


def test_without_random_networks_their_metrics_are_missing(model, explained_images):
    found = explain_images(dataclasses.replace(model, controls=()), explained_images, SETTINGS)
    assert [bool(np.isnan(found.metrics[source]["best_iou"]).all()) for source in CONTROLS] == [True, False, False]


def test_images_are_normalised(model, explained_images):
    images = load_images(explained_images, np.array([2, 0]), model)
    row = explained_images.store.rows([explained_images.records[0].image_id])[0]
    pixel = explained_images.store.images[row, 4 + 10, 4 + 20] / 255
    expected = (pixel - np.array(model.spec.mean)) / np.array(model.spec.std)
    assert images.shape == (2, 3, 64, 64)
    np.testing.assert_allclose(images[1, :, 10, 20].numpy(), expected, rtol=1e-5)


def test_nan_names_the_image(model, explained_images):
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor, labels: torch.Tensor):
            batch_maps = model.explainer.explain(images, labels)
            batch_maps.maps[1] = float("nan")
            return batch_maps

    broken = dataclasses.replace(model, explainer=dataclasses.replace(model.explainer, explain=Broken()))
    name = explained_images.records[random_order(len(explained_images), SETTINGS.seed)[1]].image_id
    with pytest.raises(ModelError, match=name):
        explain_images(broken, explained_images, SETTINGS)
