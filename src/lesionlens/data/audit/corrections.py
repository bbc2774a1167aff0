"""Published corrections: images of one lesion that HAM10000 files under two lesion ids."""

from __future__ import annotations

from lesionlens.data.index import Index

MISSED_DUPLICATES = (
    ("ISIC_0024437", "ISIC_0031299"),
    ("ISIC_0024602", "ISIC_0032283"),
    ("ISIC_0024629", "ISIC_0029625"),
    ("ISIC_0024736", "ISIC_0029748"),
    ("ISIC_0024770", "ISIC_0027811"),
    ("ISIC_0024879", "ISIC_0030906"),
    ("ISIC_0025226", "ISIC_0030074"),
    ("ISIC_0025664", "ISIC_0026087"),
    ("ISIC_0027027", "ISIC_0029036"),
    ("ISIC_0027162", "ISIC_0029061"),
    ("ISIC_0027689", "ISIC_0032647"),
    ("ISIC_0027820", "ISIC_0028209"),
    ("ISIC_0029152", "ISIC_0033173"),
    ("ISIC_0030000", "ISIC_0031392"),
    ("ISIC_0032634", "ISIC_0033556"),
    ("ISIC_0033374", "ISIC_0033417"),
    ("ISIC_0033391", "ISIC_0034186"),
    ("ISIC_0033421", "ISIC_0033481"),
)
"""The 18 pairs of Abhishek, Jain & Hamarneh, Sci. Data 12:196 (2025), doi:10.1038/s41597-025-04382-5."""


def listed_pairs(index: Index) -> tuple[tuple[str, str], ...]:
    """The published pairs whose images are both in `index`."""
    ids = set(index.ids)
    return tuple((a, b) for a, b in MISSED_DUPLICATES if a in ids and b in ids)
