"""What the publishers of public data sets say of them, with the citation; only data sets whose paper is cited here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSource:
    """A public data set.

    Attributes:
        name: as its publishers call it.
        url: where it is.
        licence_url: of its licence.
        citation: of its paper, in words.
        bibtex: the same.
        reference_standard: how the diagnoses were made.
        setting: where the images were taken.
        dates: when.
        series: how they were selected.
    """

    name: str
    url: str
    licence_url: str
    citation: str
    bibtex: str
    reference_standard: str
    setting: str
    dates: str
    series: str


_TSCHANDL = "Tschandl, Rosendahl & Kittler, Sci. Data 5:180161 (2018), doi:10.1038/sdata.2018.161"
_BIBTEX = (
    "@article{tschandl2018ham10000, author={Tschandl, Philipp and Rosendahl, Cliff and Kittler, Harald}, "
    "title={The {HAM10000} dataset, a large collection of multi-source dermatoscopic images of common pigmented skin lesions}, "
    "journal={Scientific Data}, volume={5}, pages={180161}, year={2018}, doi={10.1038/sdata.2018.161}}"
)

HAM10000 = PublishedSource(
    name="HAM10000",
    url="https://doi.org/10.7910/DVN/DBW86T",
    licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
    citation=_TSCHANDL,
    bibtex=_BIBTEX,
    reference_standard="More than half of the lesions were confirmed by histopathology, the others by follow-up, the "
    "consensus of "
    f"experts, or in-vivo confocal microscopy ({_TSCHANDL}).",
    setting="Two sites: the Department of Dermatology of the Medical University of Vienna, Austria, and the skin cancer practice "
    f"of Cliff Rosendahl in Queensland, Australia ({_TSCHANDL}).",
    dates=f"Over a period of 20 years ({_TSCHANDL}).",
    series=f"A collection made for machine learning, neither consecutive nor a random sample ({_TSCHANDL}).",
)
PUBLISHED = {"ham10000": HAM10000, "ham10000+isic2018": HAM10000}  # by source of the index
