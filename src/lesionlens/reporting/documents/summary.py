"""The report's first section: whom the network is for, and its most important limits, from the same facts as the card."""

from __future__ import annotations

from typing import Any

from lesionlens.bundle.card import SHOWN_LIMITS
from lesionlens.reporting.documents.facts import gather
from lesionlens.reporting.documents.stated import stated_of
from lesionlens.reporting.run_folder import RunContents


def summary(run: RunContents) -> dict[str, Any]:
    """What stands at the top of the report: `for`, `not_for`, `limits`, and `further` limits."""
    facts = gather(run, stated_of(run.paths))
    texts = [limit.text.replace("`", "") for limit in facts.limits]
    return {
        "for": facts.card["intended_use"]["for"],
        "not_for": facts.card["intended_use"]["not_for"],
        "limits": texts[:SHOWN_LIMITS],
        "further": texts[SHOWN_LIMITS:],
    }
