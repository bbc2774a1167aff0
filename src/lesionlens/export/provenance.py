"""Statements of a bundle on its origin, licences and intended use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lesionlens.core.recipe import Recipe
from lesionlens.data.leaks import leak_sentences
from lesionlens.data.split import Split
from lesionlens.models.catalogue import COMPOSED, OWN

INTENDED_USE = {
    "for": "Research on, and decision support in, the reading of single dermoscopic images of skin lesions, "
    "by people trained to read them.",
    "not_for": "Diagnosis without a physician; clinical photographs or any image that is not dermoscopic; "
    "lesions of mucosa or nails; skin tones and devices that the training images hardly show; "
    "telling patients anything on its own.",
    "status": "A research and decision-support tool, not a medical device.",
}
CODE_LICENCE = "Apache-2.0"
HAM10000_LICENCE = "CC BY-NC 4.0; Tschandl, Rosendahl & Kittler, Sci. Data 5:180161 (2018), doi:10.7910/DVN/DBW86T"
SYNTHETIC_LICENCE = "drawn by lesionlens, no patient's image; Apache-2.0"
UNKNOWN_LICENCE = "not stated; ask the owner of the images, or state it with: lesionlens export --data-licence TEXT"
DATA_LICENCES = {"ham10000": HAM10000_LICENCE, "ham10000+isic2018": HAM10000_LICENCE, "synthetic": SYNTHETIC_LICENCE}
PRETRAINED = {
    "imagenet": "ImageNet weights of timm's hub; see the licence on that network's page",
    "none": "random weights",
}
PROTOCOL_TEXTS = {
    "lesion": "images of one lesion or patient never split",
    "lesion-kfold": "images of one lesion or patient never split; one of several folds",
    "paper": "images split without regard to lesions, as in the paper",
    "source": "tested on one clinic or collection; images of one lesion or patient never split",
    "official": "the splits that the publisher of the images made",
}


def is_unstated(data_licence: str) -> bool:
    """Whether a text says that the licence of the images is not known.

    >>> is_unstated(UNKNOWN_LICENCE), is_unstated("CC0")
    (True, False)
    """
    return data_licence == UNKNOWN_LICENCE


def licences(source: str, network: str, weights: str, data_licence: str = "") -> dict[str, str]:
    """Licences of code, data and weights.

    Args:
        source: name of the data's source, as the index says.
        network: its name.
        weights: the initial weights, as in the recipe.
        data_licence: as stated by the user; if empty, that of a known source.
    """
    data = data_licence or DATA_LICENCES.get(source, UNKNOWN_LICENCE)
    start = PRETRAINED.get(weights, "weights of the user's own file")
    return {
        "code": CODE_LICENCE,
        "data": data,
        "weights": f"{network} {_made_by(network)}, started from {start}; trained on images under: {data}",
        "selftest": f"the images in selftest.npz are part of the data: {data}",
    }


def _made_by(network: str) -> str:
    """Whose code a network is.

    >>> _made_by("convnext_tiny"), _made_by("alexnet")
    ('of timm (code Apache-2.0)', 'of torchvision (code BSD-3-Clause)')
    """
    if network not in OWN:
        return "of timm (code Apache-2.0)"
    if network not in COMPOSED:
        return "of torchvision (code BSD-3-Clause)"
    parts = " and ".join(OWN[network].parts)
    return f"of LesionLens, composed of {parts}" if parts else "of LesionLens"


def origin(
    recipe: Recipe, source: str, split: Split, hashes: Mapping[str, str], epoch: int | None, averaged: bool
) -> dict[str, Any]:
    """Where a network comes from: recipe, images, split and its leaks, JSON-ready.

    Args:
        recipe: that trained it.
        source: of the images, as the index says.
        split: that it was trained on.
        hashes: SHA-256 of checkpoint, index, split and store.
        epoch: of its weights; None if unknown.
        averaged: whether they are averaged weights.
    """
    tested = {"test": len(split.ids["test"]), "validation": 0}
    content = recipe.to_json()
    content["model"]["weights"] = Path(recipe.model.weights).name  # what is passed on must not reveal a user's folders
    return {
        "recipe": content,
        "epoch": epoch,
        "averaged": averaged,
        "source": source,
        "images": {split_name: len(ids) for split_name, ids in split.ids.items()},
        "protocol": split.protocol,
        "leaks": split.leaks,
        "leak_rate": split.leak_rate.get("test"),
        "patient_leak_rate": split.patient_leak_rate("test"),
        "n_unknown_lesion": split.n_unknown_lesion("test"),
        "leak_statement": leak_statement(split.protocol, split.leaks, leak_sentences(split.leak_rate, tested)),
        "hashes": dict(hashes),
    }


def leak_statement(protocol: str, leaks: bool, sentences: Sequence[str]) -> str:
    """Whether the metrics can be trusted, in words.

    Args:
        protocol: of the split.
        leaks: whether the protocol is known to leak.
        sentences: how much leaks, without full stops; see `data.leaks.leak_sentences`.
    """
    about = PROTOCOL_TEXTS.get(protocol, "")
    statement = "; ".join(sentences) or "there is no test image"
    warning = "THE METRICS ARE TOO HIGH BECAUSE THIS SPLIT LEAKS; do not quote them. " if leaks else ""
    return f"{warning}Protocol {protocol!r}{f' ({about})' if about else ''}: {statement}."
