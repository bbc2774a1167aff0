"""The JSON of cases, lesions, histology and deletions."""

from __future__ import annotations

from pydantic import Field

from lesionlens.serving.schemas import NOTE_CHARACTERS, Model, Prediction, Share


class CaseSummary(Model):
    """One case in a list; `newest` is the id of its newest prediction, `malignant_share` the highest of its images."""

    case: str
    newest: str
    created: str
    images: int
    lesions: int
    unreviewed: int
    malignant_share: Share | None


class CasePage(Model):
    """Cases, the one with the newest image first; `next` is the cursor of the following page, or null."""

    items: list[CaseSummary]
    next: str | None


class Spread(Model):
    """The malignant share of several photographs: how many, mean, lowest, highest, and standard deviation (null for one)."""

    count: int
    mean: Share
    low: Share
    high: Share
    sd: float | None


class Visit(Model):
    """The photographs of one day."""

    day: str
    images: list[str]
    malignant_share: Spread | None


class HistologyIn(Model):
    """A histological diagnosis: a code of the model's, or `other`. A `correction` replaces a former, different one."""

    dx: str = Field(min_length=1, max_length=32)
    note: str = Field(default="", max_length=NOTE_CHARACTERS)
    correction: bool = False


class Histology(HistologyIn):
    """One entry."""

    created: str
    who: str


class Lesion(Model):
    """One lesion over time: images, oldest first, the visits they belong to, and histology, of which the last entry counts."""

    case: str
    lesion: str
    site: str | None
    histology: list[Histology]
    visits: list[Visit]
    images: list[Prediction]


class Case(Model):
    """One case: its lesions, and images that are not assigned to a lesion."""

    case: str
    lesions: list[Lesion]
    unassigned: list[Prediction]


class SubjectIn(Model):
    """What an image shows; null or empty: not known."""

    case: str | None = None
    lesion: str | None = None
    site: str | None = None
    taken: str | None = None


class Deleted(Model):
    """What was deleted, when and by whom; `image`: whether a kept image went too; `overwritten`: whether the bytes are gone
    from the log's files already, and not only after the next `record retain`."""

    prediction: str
    created: str
    who: str
    image: bool
    overwritten: bool
