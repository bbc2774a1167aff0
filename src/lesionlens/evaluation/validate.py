"""Metrics of the validation split, after each epoch of training."""

from __future__ import annotations

import numpy as np
from torch import nn

from lesionlens.core.metadata import encode
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec
from lesionlens.data.index import select
from lesionlens.evaluation.metrics import validation_metrics
from lesionlens.evaluation.predict import predict_logits
from lesionlens.models.metadata_head import head_of
from lesionlens.training.run import ValidateWith


def validator(dataset: Dataset, batch_size: int = 64) -> ValidateWith:
    """A function that scores a network on the validation split.

    Args:
        dataset: of the run; images that the store leaves out are not counted.
        batch_size: images in one pass.
    """
    ids = [image_id for image_id in dataset.split.ids["validation"] if image_id not in dataset.store.dropped]
    rows, n_classes = dataset.store.rows(ids), len(dataset.index.labels)
    class_of = dict(zip(dataset.index.ids, dataset.index.dx_indices().tolist(), strict=True))
    labels = np.array([class_of[image_id] for image_id in ids])

    def validate(network: nn.Module, spec: InputSpec) -> dict[str, float]:
        head = head_of(network)
        metadata = None if head is None else encode(select(dataset.index, ids), head.fields)
        logits = predict_logits(network, dataset.store.images, spec, rows=rows, batch_size=batch_size, metadata=metadata)
        return validation_metrics(logits, labels, n_classes)

    return validate
