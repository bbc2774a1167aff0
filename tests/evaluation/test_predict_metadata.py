"""Evaluation with metadata: logits, and what the predictions say they were made from."""

import numpy as np
import torch

from lesionlens.core.metadata import Metadata, encode
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.predict import predict_logits
from lesionlens.evaluation.predictions import read_predictions, write_predictions
from lesionlens.models.metadata_head import head_of
from lesionlens.training.checkpoint import load_network


def test_metadata_add_the_logits_of_the_head_in_every_batch_and_view(metadata_checkpoint, small_run):
    network, info = load_network(metadata_checkpoint)
    images = Dataset.of_run(Run.at(small_run)).store.images[:5]
    encoded = encode([Metadata(55.0, "male"), Metadata(), Metadata(sex="female"), Metadata(80.0), Metadata()], ("age", "sex"))
    with torch.no_grad():
        added = head_of(network)(torch.from_numpy(encoded)).numpy()
    for views in (1, 8):
        alone = predict_logits(network, images, info.spec, views=views, precision="fp32")
        told = predict_logits(network, images, info.spec, views=views, batch_size=2, precision="fp32", metadata=encoded)
        np.testing.assert_allclose(told - alone, added, atol=2e-5)
    np.testing.assert_allclose(added[1], 0, atol=1e-6)
    assert np.abs(added[0]).max() > 0.05


def test_a_split_is_predicted_with_what_the_index_knows_and_says_so(metadata_checkpoint, small_run, tmp_path):
    dataset = Dataset.of_run(Run.at(small_run))
    told = predict_split(metadata_checkpoint, dataset, PredictionSettings(device="cpu"))
    alone = predict_split(metadata_checkpoint, dataset, PredictionSettings(device="cpu", metadata=False))
    network, _ = load_network(metadata_checkpoint)
    encoded = encode(dataset.records("test"), ("age", "sex"))
    with torch.no_grad():
        added = head_of(network)(torch.from_numpy(encoded)).numpy()
    np.testing.assert_allclose(told.logits - alone.logits, added, atol=2e-5)
    assert (told.origin.metadata, alone.origin.metadata) == (("age", "sex"), ())
    write_predictions(told, tmp_path / "p.npz")
    assert read_predictions(tmp_path / "p.npz").origin == told.origin
