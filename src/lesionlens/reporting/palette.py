"""One colour for each diagnosis, the same in every metric; warm for malignant, cool for benign."""

from __future__ import annotations

from lesionlens.core.labels import LabelSet

# (on white, on the dark page), such that the smallest CIELAB distance of any two is above 17 with
# normal, protanope, deuteranope and tritanope sight (Machado 2009), and the contrast with the page is above 3.
KNOWN = {
    "akiec": ("#9d7641", "#f3d35a"),
    "bcc": ("#e37008", "#f0692f"),
    "mel": ("#8c1010", "#b0664c"),
    "scc": ("#5f2548", "#e56aa3"),
    "bkl": ("#2f9e84", "#3fdca6"),
    "df": ("#1f6cb0", "#c1ddec"),
    "nv": ("#101c6e", "#7f8ae6"),
    "vasc": ("#7b22c0", "#9a4df5"),
}
WARM = ("mel", "bcc", "akiec", "scc")
COOL = ("nv", "bkl", "df", "vasc")


def class_colours(labels: LabelSet) -> dict[str, tuple[str, str]]:
    """Colour of each diagnosis: (light page, dark page), as hexadecimal RGB.

    A diagnosis that HAM10000 or ISIC 2019 knows keeps its colour in every report. Others take the
    free colours of their kind (warm for malignant, cool for benign) and reuse them when they run out.
    """
    colours = {code: KNOWN[code] for code in labels.codes if code in KNOWN}
    for malignant, kind in ((True, WARM), (False, COOL)):
        free = [name for name in kind if name not in colours] or list(kind)
        others = [d.code for d in labels.diagnoses if d.malignant == malignant and d.code not in colours]
        colours.update({code: KNOWN[free[place % len(free)]] for place, code in enumerate(others)})
    return {code: colours[code] for code in labels.codes}


def class_names(labels: LabelSet) -> dict[str, str]:
    """CSS class of each diagnosis: `k0`, `k1`, ... in the order of the labels."""
    return {code: f"k{place}" for place, code in enumerate(labels.codes)}
