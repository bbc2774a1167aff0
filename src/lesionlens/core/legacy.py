"""Names that LesionLens 0.1.0 wrote into artifacts: they are read under today's names.

0.1.0 called a split (train, validation, test) a part, the training split `training`, metrics figures, and a
channel-pruned network slim. Hashes that checkpoints carry are taken over the names of 0.1.0, so that a checkpoint
trained with it still knows its split and its index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYS = {
    "part": "split",
    "parts": "splits",
    "by_part": "by_split",
    "groups_by_part": "groups_by_split",
    "figures": "metrics",
    "slim": "channel_pruned",
}
VARIANTS = {"slim": "channel-pruned", "slim-int8": "channel-pruned-int8"}
TRAIN = {"training": "train"}
BY_SPLIT = ("groups_by_split", "images", "counts")  # mappings from names of splits


def current_split(name: str) -> str:
    """Today's name of a split: `train` for `training`.

    >>> current_split("training"), current_split("test")
    ('train', 'test')
    """
    return TRAIN.get(name, name)


def current_variant(name: str) -> str:
    """Today's name of a variant: `channel-pruned` for `slim`.

    >>> current_variant("slim-int8"), current_variant("int8")
    ('channel-pruned-int8', 'int8')
    """
    return VARIANTS.get(name, name)


def current(value: Any) -> Any:
    """A JSON value with the keys, splits and variants of 0.1.0 under today's names, at any depth.

    >>> current({"part": "training", "figures": {"accuracy": 0.5}})
    {'split': 'train', 'metrics': {'accuracy': 0.5}}
    >>> current({"variants": ["int8", "slim"], "images": {"training": 7, "test": 2}})
    {'variants': ['int8', 'channel-pruned'], 'images': {'train': 7, 'test': 2}}
    """
    if isinstance(value, list):
        return [current(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    renamed: dict[Any, Any] = {KEYS.get(key, key): item for key, item in value.items()}
    return {key: _current_item(key, item) for key, item in renamed.items()}


def _current_item(key: str, item: Any) -> Any:
    if key in ("split", "fitted_on") and isinstance(item, str):
        return current_split(item)
    if key in ("variant", "by") and isinstance(item, str):
        return current_variant(item)
    if key == "variants" and isinstance(item, list):
        return [current_variant(name) if isinstance(name, str) else name for name in item]
    if key in BY_SPLIT and isinstance(item, Mapping):
        return by_current_split(item)
    return current(item)


def by_current_split(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a mapping from split names with `training` renamed."""
    return {current_split(name): item for name, item in value.items()}


def by_old_split(value: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `by_current_split`, for hashes."""
    return {"training" if name == "train" else name: item for name, item in value.items()}
