"""The JSON of similar confirmed lesions, and of images to label next."""

from __future__ import annotations

from lesionlens.serving.schemas import Model, Prediction


class SimilarLesion(Model):
    """A confirmed lesion by its nearest image; `similarity` is the cosine of the features, at most 1."""

    prediction: Prediction
    histology: str
    similarity: float


class Similar(Model):
    """Confirmed lesions near a prediction, the nearest first, and how many images were searched."""

    prediction: str
    searched: int
    items: list[SimilarLesion]


class ToLabel(Model):
    """An image to label; `margin` is the difference of its two highest probabilities."""

    prediction: Prediction
    margin: float


class LabelNext(Model):
    """Images to label, the least decided first, and how many were searched."""

    searched: int
    items: list[ToLabel]
