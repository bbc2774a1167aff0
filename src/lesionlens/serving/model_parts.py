"""What of a server belongs to one bundle, so that another bundle can take its place while requests run."""

from __future__ import annotations

from dataclasses import dataclass

from lesionlens.bundle.card_html import read_card_html
from lesionlens.bundle.runtime import Predictor
from lesionlens.serving.decoding import DecodeLimits, Decoders
from lesionlens.serving.drawings import Drawings
from lesionlens.serving.image_key import read_key_bytes
from lesionlens.serving.prediction_log import PredictionLog
from lesionlens.serving.settings import ServingSettings
from lesionlens.serving.uploaded_images import UploadedImages
from lesionlens.serving.worker import Enqueue, Worker


@dataclass(frozen=True)
class ModelParts:
    """The parts of one bundle.

    Attributes:
        predictor: the bundle.
        card_html: its card.
        decoders: that prepare images for it.
        drawings: of its heat maps.
        worker: that predicts with it.
    """

    predictor: Predictor
    card_html: str
    decoders: Decoders
    drawings: Drawings
    worker: Worker

    @property
    def labels(self) -> dict[str, str]:
        """What runs here, for the metrics."""
        bundle = self.predictor.bundle_variant
        return {"bundle": bundle.id, "name": bundle.name, "variant": bundle.variant}

    def close(self) -> None:
        """Finish what has begun."""
        self.worker.close()


def open_parts(settings: ServingSettings, images: UploadedImages, log: PredictionLog, enqueue: Enqueue) -> ModelParts:
    """Open the bundle of a server as it is now on disk.

    A link is followed once: what it leads to later is another bundle's.

    Raises:
        ModelError: if the bundle cannot be used.
    """
    predictor = Predictor(
        settings.bundle.resolve(),
        runtime=settings.runtime,
        variant=settings.variant,
        threads=settings.threads,
        batch_size=settings.batch_size,
        streams=settings.streams,
    )
    spec = predictor.bundle.spec
    decoders = Decoders(spec, decode_limits(settings), settings.decoders)
    case_key = b"" if settings.case_key is None else read_key_bytes(settings.case_key)
    worker = Worker(predictor, decoders, log, enqueue, case_key)
    return ModelParts(predictor, read_card_html(predictor.bundle), decoders, Drawings(decoders, images, predictor.bundle), worker)


def decode_limits(settings: ServingSettings) -> DecodeLimits:
    """What decoding one upload may take."""
    return DecodeLimits(settings.pixels, settings.decode_bytes, settings.decode_seconds)
