"""decisions.json as plain text for a terminal."""

from __future__ import annotations

from typing import Any


def decisions_text(content: dict[str, Any]) -> str:
    """The content of decisions.json for people."""
    return (
        f"chosen on {content['n_images']['validation']} validation images, reported on {content['n_images']['test']} test images"
    )
