import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.bundle.overlay import enlarge
from lesionlens.core.errors import ModelError
from lesionlens.evaluation.predict import predict_logits
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.explain_images import load_images, random_order, walk
from lesionlens.explanation.explanations import CONTROLS, CURVES, ORDERS, SOURCES, Extent, Subject
from lesionlens.explanation.localisation import METRICS, localise
from lesionlens.explanation.masks import MaskCount, read_masks

EXTENT = Extent(images_per_pass=16, curve_images=4, curve_steps=3)


@pytest.fixture(scope="module")
def subject(explained_run):
    network = explained_run.networks["test_resnet"]
    other = explained_run.networks["mobilenetv3_small_050"]
    bound = [build_explainer(each, explained_run.spec.size) for each in (network, other)]
    return Subject(network, bound[0], explained_run.spec, (bound[1],))


@pytest.fixture(scope="module")
def findings(subject, explained_part):
    return walk(subject, explained_part, EXTENT)


def test_logits_are_those_of_evaluation(findings, subject, explained_part, explained_run):
    rows = explained_run.store.rows([record.image_id for record in explained_part.records])
    wanted = predict_logits(subject.network, explained_run.store.images, subject.spec, rows=rows, precision="fp32")
    np.testing.assert_allclose(findings.logits, wanted, rtol=1e-4, atol=1e-5)


def test_metrics_are_those_of_each_image_alone(findings, subject, explained_part):
    for row in (0, len(explained_part) - 1):
        (mask,) = read_masks(explained_part.index, explained_part.records[row : row + 1], subject.spec, MaskCount())
        map_ = findings.map_of(row, int(findings.predicted[row]))
        alone = localise(enlarge(map_, 64, 64)[None], mask[None])
        for name in METRICS:
            assert findings.metrics["predicted_class"][name][row] == pytest.approx(getattr(alone, name)[0], rel=1e-5)
        assert findings.mask_share[row] == mask.mean()


def test_the_size_of_a_batch_changes_nothing_but_the_neighbours(findings, subject, explained_part):
    small = walk(subject, explained_part, dataclasses.replace(EXTENT, images_per_pass=5))
    np.testing.assert_allclose(small.maps, findings.maps, rtol=1e-3, atol=1e-5 * findings.maps.max())
    for source in set(SOURCES) - {"other_image"}:
        for name in METRICS:
            np.testing.assert_allclose(small.metrics[source][name], findings.metrics[source][name], atol=0.02)
    for name in CURVES:
        for order in ORDERS:
            np.testing.assert_allclose(small.curves[name][order], findings.curves[name][order], atol=1e-3)


def test_the_network_never_sees_more_than_one_batch(subject, explained_part):
    sizes: list[int] = []
    hook = subject.network.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    extent = dataclasses.replace(EXTENT, images_per_pass=3)
    done: list[int] = []
    walk(subject, explained_part, extent, done.append)
    hook.remove()
    assert max(sizes) <= 3
    assert sum(done) == len(explained_part)


def test_curves_are_taken_of_the_first_drawn_images(findings, explained_part):
    first = random_order(explained_part, EXTENT)[:4]
    taken = ~np.isnan(findings.curves["deletion"]["map"]).any(1)
    assert sorted(np.flatnonzero(taken)) == sorted(first)
    whole = findings.curves["deletion"]["map"][first, 0]
    exponentials = np.exp(findings.logits[first])
    np.testing.assert_allclose(whole, exponentials.max(1) / exponentials.sum(1), rtol=1e-3)


def test_curves_can_span_batches(findings, subject, explained_part):
    extent = dataclasses.replace(EXTENT, images_per_pass=3)
    taken = ~np.isnan(walk(subject, explained_part, extent).curves["insertion"]["random"]).any(1)
    assert taken.sum() == 4


def test_true_and_predicted_maps_agree_where_the_prediction_is_right(findings, explained_part):
    right = findings.predicted == explained_part.labels
    ours, true = (findings.metrics[source]["energy_inside"] for source in ("predicted_class", "true_class"))
    assert right.any()
    assert (ours[right] == true[right]).all()
    assert (ours[~right] != true[~right]).any()


def test_another_images_map_is_never_of_the_same_lesion(subject, explained_part):
    one_lesion = dataclasses.replace(explained_part, lesion_ids=np.zeros(len(explained_part)))
    found = walk(subject, one_lesion, EXTENT)
    assert np.isnan(found.metrics["other_image"]["best_iou"]).all()
    alone = walk(subject, explained_part, dataclasses.replace(EXTENT, images_per_pass=1, curve_images=0))
    assert np.isnan(alone.metrics["other_image"]["best_iou"]).all()


def test_without_masks_nothing_is_compared(subject, explained_part):
    found = walk(subject, explained_part, dataclasses.replace(EXTENT, masks=False, curve_images=0))
    assert all(np.isnan(found.metrics[source][name]).all() for source in SOURCES for name in METRICS)
    assert found.masks.used == 0


def test_without_random_networks_their_metrics_are_missing(subject, explained_part):
    found = walk(dataclasses.replace(subject, controls=()), explained_part, EXTENT)
    assert [bool(np.isnan(found.metrics[source]["best_iou"]).all()) for source in CONTROLS] == [True, False, False]


def test_images_are_normalised(subject, explained_part):
    images = load_images(explained_part, np.array([2, 0]), subject)
    row = explained_part.store.rows([explained_part.records[0].image_id])[0]
    pixel = explained_part.store.images[row, 4 + 10, 4 + 20] / 255
    expected = (pixel - np.array(subject.spec.mean)) / np.array(subject.spec.std)
    assert images.shape == (2, 3, 64, 64)
    np.testing.assert_allclose(images[1, :, 10, 20].numpy(), expected, rtol=1e-5)


def test_nan_names_the_image(subject, explained_part):
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor, labels: torch.Tensor):
            explained = subject.explainer.explain(images, labels)
            explained.maps[1] = float("nan")
            return explained

    broken = dataclasses.replace(subject, explainer=dataclasses.replace(subject.explainer, explain=Broken()))
    name = explained_part.records[random_order(explained_part, EXTENT)[1]].image_id
    with pytest.raises(ModelError, match=name):
        walk(broken, explained_part, EXTENT)
