"""What age, sex and site add to a trained image network, cross-validated by lesion over stored predictions.

    python benchmarks/metadata.py [PREDICTIONS.npz] [--out benchmarks/results/metadata.json]

The image network stays as it is. In each fold, its logits are recalibrated (temperature and a bias for each diagnosis), so that
metadata cannot gain by repairing the prior, and a metadata head is trained on top of the same recalibration. Both are scored on
the fold that they did not see, and compared, paired by lesion. All numbers of training steps are reported; none is chosen.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lesionlens.core.metadata import Metadata, encode, hide
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.multiplicity import Hypotheses
from lesionlens.evaluation.predictions import Predictions, read_predictions
from lesionlens.models.metadata_head import MetadataHead
from output import write_or_print
from source_version import commit

DEFAULT = Path(__file__).parent / "results" / "box" / "validation.npz"
FIELDS = ("age", "sex", "site")
STEPS = (10, 30, 100, 300)
FOLDS, RECALIBRATION_STEPS, RATE, DECAY, DROPOUT, SEED = 5, 300, 0.01, 0.1, 0.3, 0
METRICS = ("nll", "macro_auc", "accuracy", "balanced_accuracy")


def folds(lesion_ids: np.ndarray) -> np.ndarray:
    """The fold of each image, (N,); images of one lesion share it."""
    lesions, places = np.unique(lesion_ids, return_inverse=True)
    order = np.random.default_rng(SEED).permutation(len(lesions))
    return np.asarray(order[places] % FOLDS)


def recalibration(logits: torch.Tensor, labels: torch.Tensor) -> Any:
    """A temperature and a bias for each diagnosis, fitted by cross entropy, as a function of logits."""
    scale, bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(logits.shape[1]))
    descend([scale, bias], lambda: nn.functional.cross_entropy(logits * scale + bias, labels), RECALIBRATION_STEPS, decay=0.0)
    return lambda rows: (rows * scale + bias).detach()


def trained_head(logits: torch.Tensor, labels: torch.Tensor, encoded: np.ndarray, steps: int) -> MetadataHead:
    """A metadata head on recalibrated logits, with values hidden at random."""
    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    head = MetadataHead(FIELDS, logits.shape[1])

    def loss() -> torch.Tensor:
        hidden = random.random((len(encoded), len(FIELDS))) < DROPOUT
        return nn.functional.cross_entropy(logits + head(torch.from_numpy(hide(encoded, hidden, FIELDS))), labels)

    descend(list(head.parameters()), loss, steps, DECAY)
    return head


def descend(parameters: list[nn.Parameter], loss: Callable[[], torch.Tensor], steps: int, decay: float) -> None:
    optimizer = torch.optim.AdamW(parameters, RATE, weight_decay=decay)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def cross_validated(predictions: Predictions, steps: int) -> Predictions:
    """Logits of each image from fits that saw none of its lesion; with 0 steps, of the image alone."""
    people = zip(predictions.age, predictions.sex, predictions.site, strict=True)
    known = [Metadata(None if np.isnan(age) else float(age), str(sex), str(site)) for age, sex, site in people]
    encoded, logits = encode(known, FIELDS), torch.from_numpy(predictions.logits)
    labels, fold, found = torch.from_numpy(predictions.labels), folds(predictions.lesion_ids), np.zeros_like(predictions.logits)
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        recalibrated = recalibration(logits[train], labels[train])
        outputs = recalibrated(logits[test])
        if steps:
            head = trained_head(recalibrated(logits[train]), labels[train], encoded[train], steps)
            outputs = outputs + head(torch.from_numpy(encoded[test]))
        found[test] = outputs.detach().numpy()
    return replace(predictions, logits=found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictions = read_predictions(options.predictions)
    alone = cross_validated(predictions, 0)
    hypotheses = Hypotheses("nll", METRICS[1:])
    compared = {steps: compare(cross_validated(predictions, steps), alone, hypotheses=hypotheses) for steps in STEPS}
    result = {
        "command": "python benchmarks/metadata.py --out benchmarks/results/metadata.json",
        "network": predictions.origin.name,
        "split": predictions.split,
        "n_images": len(predictions),
        "n_lesions": len(np.unique(predictions.lesion_ids)),
        "fields": list(FIELDS),
        "folds": FOLDS,
        "steps": {steps: {name: each["metrics"][name] for name in METRICS} for steps, each in compared.items()},
        "commit": commit(),
    }
    write_or_print(result, options.out)


if __name__ == "__main__":
    main()
