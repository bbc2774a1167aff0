"""The route of the shadow: how far two bundles agree."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from lesionlens.serving import examples
from lesionlens.serving.callers import From, service_of
from lesionlens.serving.openapi import CALLERS, json_examples, responses
from lesionlens.serving.schemas import BundleVariant, Model, Outcome, Share
from lesionlens.serving.shadow import comparison, no_shadow


class OutcomePair(Model):
    """How often the two bundles had these outcomes."""

    champion: Outcome
    shadow: Outcome
    count: int


class ShareDifference(Model):
    """Malignant share of the shadow minus that of the champion: its mean, and the mean of its absolute value."""

    mean: float
    mean_absolute: float


class ShortPrediction(Model):
    """What one bundle says of an image."""

    outcome: Outcome
    diagnosis: str | None
    malignant_share: Share | None


class Disagreement(Model):
    """An image on which the two bundles differ."""

    prediction: str
    champion: ShortPrediction
    shadow: ShortPrediction


class ShadowComparison(Model):
    """How far the shadow agrees with the bundle that responds, on the newest images that both predicted."""

    champion: BundleVariant
    shadow: BundleVariant
    left_out: int
    compared: int
    same_outcome: int
    same_diagnosis: int
    both_diagnosed: int
    outcomes: list[OutcomePair]
    malignant_share_difference: ShareDifference | None
    disagreements: list[Disagreement]


router = APIRouter()


@router.get(
    "/v1/shadow",
    response_model=ShadowComparison,
    responses=responses(
        *(*CALLERS, "role_missing", "not_found", "record_damaged"), content=json_examples(comparison=examples.COMPARISON)
    ),
)
async def compare_shadow(request: Request, caller: From) -> Response:
    """Compare the shadow bundle with the one that responds."""
    caller.require_review()
    service = service_of(request)
    if service.shadow is None:
        raise no_shadow()
    champion, shadow = service.predictor.bundle_variant, service.shadow.predictor.bundle_variant
    counted = await asyncio.wrap_future(service.log.submit(lambda connection: comparison(connection, champion.id, shadow.id)))
    bundles = {"champion": vars(champion), "shadow": vars(shadow), "left_out": service.shadow.left_out}
    return JSONResponse({**bundles, **counted})
