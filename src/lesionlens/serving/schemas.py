"""The JSON of the API, version 1, and of `predict --json`: the models of OpenAPI, and the checks of reviews.

Responses are not serialised by these models: the bytes that the prediction log stores are the bytes
that are sent. A test holds every kind of response against them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lesionlens.serving.identifiers import PATTERN

Outcome = Literal["diagnosis", "not_sure", "not_usable"]
Share = Annotated[float, Field(ge=0, le=1)]
Spacing = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
Milliseconds = Annotated[float, Field(ge=0)]
NOTE_CHARACTERS = 4000
DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _dated(value: Any) -> Any:
    """Refuse bare numbers, which pydantic would read as seconds since 1970."""
    if isinstance(value, str) and not DATE.match(value):
        raise ValueError("write a moment as in 2026-11-22T20:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_dated)]


class Model(BaseModel):
    """The base of all models: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class Label(Model):
    """A diagnosis that the bundle knows."""

    code: str
    name: str
    malignant: bool


class Probability(Label):
    """A diagnosis and its calibrated probability."""

    probability: Share


class Reason(Model):
    """Why an image is not usable."""

    code: str
    text: str


class GateResult(Model):
    """Whether the image is a usable dermoscopic image at all."""

    usable: bool
    reasons: list[Reason]
    measures: dict[str, float]


class ImageInfo(Model):
    """The image: upright width and height in pixels, frames in the file, the frame that was read (from 0), and millimetres
    between rows and between columns, where the file states them."""

    width: int
    height: int
    frames: int
    frame: int
    pixel_spacing_mm: Spacing | None = None  # missing in predictions that lesionlens 0.1 logged


class Timings(Model):
    """Milliseconds of each step; `total` runs from the complete upload to the response, waiting included."""

    decode: Milliseconds
    resize: Milliseconds
    network: Milliseconds
    total: Milliseconds


class BundleVariant(Model):
    """The bundle and variant that made a prediction."""

    id: str
    name: str
    variant: str


class MapsInfo(Model):
    """Heat maps: of which diagnoses, until when the image is here to lay them over (null: it stays), and which part of it
    they cover: left, top, width and height as shares (null: no maps, or logged by an earlier version)."""

    codes: list[str]
    available: bool
    expires: str | None
    part: Annotated[list[Share], Field(min_length=4, max_length=4)] | None = None


class MetadataUsed(Model):
    """What was used of the patient beside the image, and the fields that were missing."""

    used: dict[str, float | str]
    missing: list[str]


class Concept(Model):
    """An estimated concept; what it adds to the logit of the most probable diagnosis; for a number, the estimate itself."""

    name: str
    value: Share
    contribution: float
    estimate: float | None = None


class MetadataInfo(Model):
    """What the bundle takes of the patient: fields of the form, and the values of those that have a list."""

    fields: list[str]
    choices: dict[str, list[str]]


class HeatMap(Model):
    """Raw values of one heat map, row by row from the top left; the highest value of all maps of the prediction; and the
    part of the image that the values cover: left, top, width and height as shares of it. Values lie in the middle of
    equal cells of that part."""

    code: str
    values: list[list[float]]
    limit: float
    part: Annotated[list[Share], Field(min_length=4, max_length=4)]


class ReviewIn(Model):
    """A review: code of a diagnosis, `other` or `unusable`, and a note."""

    conclusion: str = Field(min_length=1, max_length=32)
    note: str = Field(default="", max_length=NOTE_CHARACTERS)


class Review(Model):
    """What a person concluded."""

    conclusion: str
    note: str
    reviewer: str
    created: str


class PredictionBody(Model):
    """What the bundle says about one image, in the API and in `predict --json`. Never a bare label: see `outcome`."""

    outcome: Outcome
    explanation: str
    diagnosis: str | None
    malignant_share: Share | None
    probabilities: list[Probability]
    gate: GateResult | None
    notes: list[str] = []  # missing in predictions that lesionlens 0.1 logged
    metadata: MetadataUsed | None = None  # only of a bundle that takes it
    concepts: list[Concept] | None = None  # only of a network with a concept bottleneck
    image: ImageInfo
    timings_ms: Timings
    bundle: BundleVariant


class Prediction(PredictionBody):
    """A prediction in the log, with its newest review."""

    schema_: Literal["1"] = Field(alias="schema")
    id: str = Field(pattern=PATTERN)
    request_id: str
    created: str
    file_name: str | None
    input_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    same_image: str | None = None  # the first prediction of the same image; missing, as the next four, before lesionlens 0.3
    case: str | None = None
    lesion: str | None = None
    site: str | None = None
    taken: str | None = None
    maps: MapsInfo
    review: Review | None


class ProblemDetails(Model):
    """RFC 9457, with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class BatchItem(Model):
    """One image of a batch: `waiting`, `done` with the id of its prediction, or `refused` with the problem."""

    number: int
    file_name: str | None
    state: Literal["waiting", "done", "refused"]
    prediction: str | None
    problem: ProblemDetails | None


class Batch(Model):
    """How far a batch is: counts by state, and every image in the order of the form."""

    id: str = Field(pattern=PATTERN)
    created: str
    finished: bool
    waiting: int
    done: int
    refused: int
    items: list[BatchItem]


class PredictionPage(Model):
    """Predictions, newest first; `next` is the cursor of the following page, or null."""

    items: list[Prediction]
    next: str | None


class UploadLimits(Model):
    """The largest upload: bytes of the file, pixels of the image."""

    upload_bytes: int
    pixels: int


class AccessInfo(Model):
    """Whether tokens are needed, and the caller's name and role."""

    tokens_required: bool
    role: str
    name: str


class ModelBundle(BundleVariant):
    """The bundle, variant and runtime of this server, and why these: as requested, as measured here, or the default."""

    runtime: str
    why: str


class ModelInfo(Model):
    """The model of this server: bundle, card (Markdown and HTML), scores, limits."""

    bundle: ModelBundle
    labels: list[Label]
    input: dict[str, object]
    scores: dict[str, object] | None
    limits: UploadLimits
    intended_use: dict[str, str]
    card: str
    card_html: str
    decision: dict[str, object] | None
    gate: dict[str, object] | None
    metadata: MetadataInfo | None
    access: AccessInfo


class Health(Model):
    """State of the server."""

    status: str
    reason: str = ""
