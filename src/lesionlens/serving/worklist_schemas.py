"""The JSON of the worklist, of the clinic's own statistics, of drift, and of two photographs compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lesionlens.serving.schemas import Model, Prediction, Share


class Disagreement(Model):
    """A diagnosis with which a review or histology disagrees; `certainty` is the probability that the model gave to it."""

    prediction: Prediction
    kind: Literal["missed_malignant", "false_alarm", "other_diagnosis", "unusable"]
    by: Literal["review", "histology"]
    says: str
    certainty: Share


class Worklist(Model):
    """What waits for a person: `waiting` by malignant share, `disagreeing` the worst first; the counts are of all."""

    predictions: int
    unreviewed: int
    disagreements: int
    is_complete: bool
    waiting: list[Prediction]
    disagreeing: list[Disagreement]


class Proportion(Model):
    """Hits of n lesions, with an interval of 95 % (Wilson); below 20 lesions only the counts."""

    hits: int
    n: int
    value: Share | None
    low: Share | None
    high: Share | None


class Agreement(Model):
    """Newest reviews against the model's diagnoses, by lesion."""

    reviewed: int
    not_comparable: int
    diagnosis: Proportion
    malignant: Proportion


class CalibrationBin(Model):
    """Lesions whose malignant share is from `low` to below `high`: its mean, and how many are malignant."""

    low: Share
    high: Share
    predicted: Share | None
    observed: Proportion


class Calibration(Model):
    """Malignant share against histology."""

    predicted: Share | None
    observed: Proportion
    brier: Share | None
    bins: list[CalibrationBin]


class Confirmed(Model):
    """Against histology, by lesion; `left_out`: not usable, or a diagnosis that the model does not know."""

    lesions: int
    left_out: int
    sensitivity: Proportion
    specificity: Proportion
    by_diagnosis: dict[str, Proportion]
    calibration: Calibration


class Week(Model):
    """Predictions of one week, from the Monday `week` on (UTC)."""

    week: str
    predictions: int
    not_usable: int
    not_sure: int
    refusal_share: Share | None
    prior: Share | None


class Alarm(Model):
    """What moved: the gate's `refusals`, or the `prior` (mean malignant share)."""

    what: Literal["refusals", "prior"]
    before: Share
    recent: Share
    z: float | None


class Drift(Model):
    """Weeks, oldest first; the last two are compared with those before."""

    bundle: str
    weeks: list[Week]
    state: Literal["too_few", "steady", "alarm"]
    alarms: list[Alarm]


class ClinicStatistics(Model):
    """How the model of this server does on the clinic's own lesions."""

    bundle: str
    agreement: Agreement
    confirmed: Confirmed
    note: str
    drift: Drift


class RegistrationInfo(Model):
    """How the second picture lies over the first: `matrix` takes places of the second to places of the first, both as shares
    of width and height from the top left; null, with the reason, where that is not sure."""

    matrix: list[Annotated[list[float], Field(min_length=3, max_length=3)]] | None
    zoom: float
    rotation_deg: float
    agreement: float
    overlap: float
    reason: str


class Area(Model):
    """The lesion in one picture: share of the frame, and mm² and equivalent diameter where the file states its scale."""

    share: Share | None
    mm2: float | None
    diameter_mm: float | None
    reason: str


class SizeChange(Model):
    """Factor of the area, by `mm` or by `registration`: what is around the lesion stays the same size. Null with a reason."""

    factor: float | None
    by: Literal["mm", "registration"] | None
    reason: str


class ColourChange(Model):
    """Change of the lesion's colour against its skin, CIELAB: distance, lighter, redder, yellower; null if not measured."""

    delta_e: float | None
    lightness: float | None
    red: float | None
    yellow: float | None


class Comparison(Model):
    """Two photographs of one lesion; `areas` are of the first and the second."""

    first: str
    second: str
    registration: RegistrationInfo
    areas: Annotated[list[Area], Field(min_length=2, max_length=2)]
    size: SizeChange
    colour: ColourChange
