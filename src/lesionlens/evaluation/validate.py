"""The metrics of the validation split, as training asks for them after each epoch."""

from __future__ import annotations

import numpy as np
from torch import nn

from lesionlens.data.image import InputSpec
from lesionlens.evaluation.metrics import validation_metrics
from lesionlens.evaluation.predict import predict_logits
from lesionlens.training.run import Inputs, ValidateWith


def validator(inputs: Inputs, batch_size: int = 64) -> ValidateWith:
    """A function that scores a network on the validation split.

    Args:
        inputs: index, split and store of the run; images that the store dropped are left out.
        batch_size: images in one pass.
    """
    kept = [image_id for image_id in inputs.split.ids["validation"] if image_id not in inputs.store.dropped]
    rows, n_classes = inputs.store.rows(kept), len(inputs.index.labels)
    class_of = dict(zip(inputs.index.ids, inputs.index.dx_indices().tolist(), strict=True))
    labels = np.array([class_of[image_id] for image_id in kept])

    def validate(network: nn.Module, spec: InputSpec) -> dict[str, float]:
        logits = predict_logits(network, inputs.store.images, spec, rows=rows, batch_size=batch_size)
        return validation_metrics(logits, labels, n_classes)

    return validate
