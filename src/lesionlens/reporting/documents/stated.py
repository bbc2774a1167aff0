"""What only people know of a study, stated in one TOML file: funding, ethics, registration, the power of the machine."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe_section import nearest
from lesionlens.core.run import Run

FILE = "stated.toml"  # in a run folder

TEXTS = {
    "title": "title of the study",
    "developer": "who developed the network",
    "contact": "how to reach them",
    "background": "the clinical background, and what is known already",
    "inequalities": "known inequalities between groups of people",
    "objectives": "aims and hypotheses",
    "implications": "what follows for practice, and for whom",
    "next_steps": "further research",
    "workflow": "where in the care of a patient the network is used, and by whom",
    "setting": "where the images were taken: centres, primary or secondary care",
    "dates": "when the images were taken",
    "eligibility": "which lesions or patients were included and excluded",
    "series": "whether lesions are consecutive, a random sample, or neither",
    "treatments": "treatments before the image was taken",
    "devices": "dermatoscopes and cameras",
    "deidentification": "how images and tables were freed of identities",
    "reference_standard": "how the diagnoses were made",
    "reference_rationale": "why they were made that way",
    "annotators": "who made the diagnoses, and their experience",
    "annotation": "how the test images were annotated, and with which tools",
    "rater_variability": "agreement between those who made the diagnoses",
    "reference_blinding": "what those who made the diagnoses knew",
    "time_interval": "time between the image and the diagnosis",
    "severity": "stage or thickness of the malignant lesions",
    "sample_size": "how the number of images was determined",
    "prespecified": "which analyses were planned before the results were known",
    "ethics": "ethics committee and its approval, or why none was needed",
    "consent": "consent of the patients, or its waiver",
    "registration": "registry and number",
    "protocol": "where the protocol can be read",
    "funding": "sources of funding, and the role of the funders",
    "conflicts": "conflicts of interest",
    "commercial": "commercial interests",
    "involvement": "how patients and the public were involved",
    "data_availability": "where the images can be had",
    "code_availability": "where the code can be had",
    "publications": "where the study is published",
    "maintenance": "who maintains the network, and how it is watched in use",
    "data_licence": "licence of the images",
}
NUMBERS = {
    "watts": "power of the machine while it trained, W",
    "grams_co2_per_kwh": "carbon intensity of its electricity, g/kWh",
}


@dataclass(frozen=True)
class Stated:
    """Statements of people; everything else in the documents comes from artifacts.

    Attributes:
        texts: by key of `TEXTS`.
        watts: power of the machine while it trained; None if not stated.
        grams_co2_per_kwh: carbon intensity of its electricity; None if not stated.
        name: of the file; empty if there is none.

    Raises:
        RecipeError: if a number is not a positive one, or an intensity stands without the power.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    watts: float | None = None
    grams_co2_per_kwh: float | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for key in NUMBERS:
            value = getattr(self, key)
            if value is not None and not (math.isfinite(value) and 0 < value <= 1e7):
                raise RecipeError(f"{key} = {value}; it must be a number above 0 ({NUMBERS[key]})")
        if self.grams_co2_per_kwh is not None and self.watts is None:
            raise RecipeError("a carbon intensity is stated and the power is not; state it as well: --watts")

    def text(self, key: str) -> str:
        """A statement; empty if it was not made."""
        return self.texts.get(key, "")

    def with_options(self, data_licence: str = "", watts: float | None = None, grams_co2_per_kwh: float | None = None) -> Stated:
        """The same with what the options of a command state; an option counts before the file.

        Raises:
            RecipeError: as for the class.
        """
        return replace(
            self,
            texts={**self.texts, **({"data_licence": data_licence} if data_licence else {})},
            watts=self.watts if watts is None else watts,
            grams_co2_per_kwh=self.grams_co2_per_kwh if grams_co2_per_kwh is None else grams_co2_per_kwh,
        )


NOTHING = Stated()


def stated_of(run: Run) -> Stated:
    """What stated.toml in a run folder states; nothing if there is none.

    Raises:
        RecipeError: as `read_stated`.
    """
    path = run.folder / FILE
    return read_stated(path) if path.is_file() else NOTHING


def read_stated(path: Path) -> Stated:
    """Read a file of statements.

    Raises:
        RecipeError: if it cannot be read, or a key is unknown or has no text.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as TOML ({error}); see the page Documents for its keys") from error
    known = (*TEXTS, *NUMBERS)
    for key, value in content.items():
        if key not in known:
            raise RecipeError(f"{path}: unknown key {key}{nearest(key, known)}")
        _check(path, key, value)
    texts = {key: " ".join(value.split()) for key, value in content.items() if key in TEXTS}
    return Stated(texts, **{key: float(content[key]) for key in NUMBERS if key in content}, name=path.name)


def _check(path: Path, key: str, value: Any) -> None:
    if key in TEXTS and not (isinstance(value, str) and value.strip()):
        raise RecipeError(f"{path}: {key} = {value!r}; it must be a text ({TEXTS[key]}); leave the key out to state nothing")
    if key in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise RecipeError(f"{path}: {key} = {value!r}; it must be a number ({NUMBERS[key]})")
