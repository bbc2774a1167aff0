"""Probabilities for people: one rule for pages, pictures, sentences and reports."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

DIGITS = 6  # decimals of a probability in JSON, which pages print from


def percent(share: float, decimals: int = 1) -> str:
    """A share as per cent, which never claims a certainty that nobody has.

    `percent` in the page's `format.js` follows the same rule, so a number reads the same wherever it stands.

    Args:
        share: in [0, 1].
        decimals: of the per cent.

    Returns:
        For example `82.4 %`; `>99.9 %` for what would round to 100, `<0.1 %` for what would round to 0.

    Example:
        >>> percent(0.8236), percent(0.999), percent(0.9996), percent(1.0), percent(0.0)
        ('82.4 %', '99.9 %', '>99.9 %', '>99.9 %', '<0.1 %')
        >>> percent(0.0701, decimals=2)
        '7.01 %'
    """
    step = Decimal(1).scaleb(-decimals)
    rounded = Decimal(100 * round(share, DIGITS)).quantize(step, ROUND_HALF_UP)  # halves up, as browsers round
    if rounded >= 100:
        return f">{100 - step} %"
    return f"<{step} %" if rounded <= 0 else f"{rounded} %"


def p_number(value: float | None, absent: str = "-") -> str:
    """A p value with three decimals, which is never 0.

    Args:
        value: in [0, 1], or None where nothing was tested.
        absent: what stands for None.

    Example:
        >>> p_number(0.0312), p_number(0.0004), p_number(None)
        ('0.031', '< 0.001', '-')
    """
    if value is None:
        return absent
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
