"""Known corrections: images of one lesion that HAM10000 files under two lesion ids, and which pairs a split unites."""

from __future__ import annotations

from collections.abc import Sequence

from lesionlens.data.groups import Pair, pairs_in
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

AUDITED = (
    ("ISIC_0024408", "ISIC_0027737"),
    ("ISIC_0024602", "ISIC_0031468"),
    ("ISIC_0024658", "ISIC_0028487"),
    ("ISIC_0024877", "ISIC_0029518"),
    ("ISIC_0025281", "ISIC_0026904"),
    ("ISIC_0025312", "ISIC_0028123"),
    ("ISIC_0025387", "ISIC_0029880"),
    ("ISIC_0026272", "ISIC_0028487"),
    ("ISIC_0027636", "ISIC_0027994"),
    ("ISIC_0027820", "ISIC_0030835"),
    ("ISIC_0028209", "ISIC_0030835"),
    ("ISIC_0028487", "ISIC_0028957"),
    ("ISIC_0029130", "ISIC_0031799"),
    ("ISIC_0032631", "ISIC_0033176"),
    ("ISIC_0034228", "ISIC_0034248"),
)
"""15 further pairs, found by the audit of 0.1.0 at 224 x 224 pixels and confirmed by eye.

With the published ones they are the fixed groups of HAM10000: its splits are compared across papers and years, so they must
not change with the resolution of somebody's files or with a better audit. What is found beyond them is counted and named.
"""
FIXED_SOURCES = ("ham10000", "ham10000+isic2018")


def listed_pairs(index: Index) -> tuple[Pair, ...]:
    """The published pairs whose images are both in `index`."""
    return pairs_in(index, MISSED_DUPLICATES)


def united_pairs(index: Index, certain: Sequence[Pair], unite_all: bool = False) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Which pairs a split unites, given those that an audit is certain of.

    Args:
        index: the images.
        certain: pairs that the audit is certain of.
        unite_all: unite all of them even where the groups of a data set are fixed.

    Returns:
        Pairs to unite, the published ones among them; and pairs that stay apart because the groups of this data set are
        fixed. Both sorted, each pair in order.
    """
    certain = pairs_in(index, certain)
    if unite_all or index.source not in FIXED_SOURCES:
        return pairs_in(index, (*MISSED_DUPLICATES, *certain)), ()
    fixed = pairs_in(index, (*MISSED_DUPLICATES, *AUDITED))
    return fixed, tuple(pair for pair in certain if pair not in fixed)
