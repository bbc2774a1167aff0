"""What the server says of itself: the model, and gauges for its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lesionlens.bundle.bundle import CARD_FILE
from lesionlens.serving.access import Caller
from lesionlens.serving.metrics import resident_bytes

if TYPE_CHECKING:
    from lesionlens.serving.service import Service


def model_facts(service: Service, caller: Caller) -> dict[str, Any]:
    """The answer of GET /v1/model."""
    predictor, settings = service.predictor, service.settings
    bundle = predictor.bundle
    facts = bundle.facts
    return {
        "bundle": {"id": bundle.id, "name": bundle.name, "variant": predictor.variant.name, "runtime": predictor.runtime},
        "labels": facts["labels"]["diagnoses"],
        "input": facts["input"],
        "scores": facts["scores"],
        "limits": {"upload_bytes": settings.upload_bytes, "pixels": settings.pixels},
        "intended_use": facts["intended_use"],
        "card": (bundle.path / CARD_FILE).read_text(encoding="utf-8"),
        "decision": facts.get("decision"),
        "gate": facts.get("gate"),
        "access": {"tokens_required": service.access.required, "role": caller.role, "name": caller.name},
    }


def gauges(service: Service) -> dict[str, tuple[str, float]]:
    """Explanation and value of what can be read off at any moment."""
    admission, path = service.admission, service.record.path
    sizes = [other.stat().st_size for other in (path, path.with_name(path.name + "-wal")) if other.is_file()]
    return {
        "lesionlens_predictions_active": ("Predictions being made.", admission.active),
        "lesionlens_predictions_waiting": ("Predictions waiting.", admission.waiting),
        "lesionlens_upload_bytes": ("Bytes of uploads in memory.", service.budget.used),
        "lesionlens_recent_image_bytes": ("Bytes of images kept in memory for overlays.", service.recent.held),
        "lesionlens_record_bytes": ("Size of the record.", sum(sizes)),
        "lesionlens_record_writable": ("1 while the record can be written.", float(not service.record.failure)),
        "lesionlens_decoder_deaths": ("Decoders that were replaced, ended by a limit or a crash.", service.decoders.deaths),
        "lesionlens_ready": ("1 while predictions are taken.", float(not service.stopping)),
        "process_resident_memory_bytes": ("Memory of the server without its decoders.", resident_bytes()),
    }
