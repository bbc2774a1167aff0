"""YAML front matter of the card for the Hugging Face Hub: licence, tags and `model-index` with the scores.

Fields as in the Hub's model card specification; `huggingface_hub` reads them back (tested).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lesionlens.reporting.documents.answers_study import published
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.formats import OVERALL, PER_CLASS

TASK = "image-classification"
TYPES = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "macro_auc": "roc_auc",
    "macro_precision": "precision",
    "balanced_accuracy": "recall",
}
"""The Hub's name of a metric; others keep ours."""
AVERAGED = ("macro_f1", "macro_auc", "macro_precision", "balanced_accuracy")
PER_CLASS_SHOWN = ("recall", "specificity", "auc")
TAGS = ("dermoscopy", "skin-lesions", "medical", "lesionlens")


def front_matter(facts: RunFacts) -> str:
    """The front matter with its two lines of dashes; every text is quoted, so none can break out."""
    return f"---\n{_yaml(card_data(facts))}---\n"


def card_data(facts: RunFacts) -> dict[str, Any]:
    """The content of the front matter."""
    known = published(facts)
    content: dict[str, Any] = {
        "license": "other",
        "license_name": "see-the-section-licences",
        "library_name": "lesionlens",
        "pipeline_tag": TASK,
        "tags": [*TAGS, facts.run.recipe.model.name],
        "metrics": sorted({TYPES[name] for name in TYPES}),
    }
    if known:
        content["datasets"] = [known.name]
    return content | {"model-index": [{"name": facts.run.recipe.name, "results": [_result(facts)]}]}


def _result(facts: RunFacts) -> dict[str, Any]:
    scores, split = facts.run.scores, facts.run.split
    known = published(facts)
    source = facts.card["origin"]["source"]
    metrics = [_metric(TYPES.get(name, name), title, scores["metrics"][name], scores, name) for name, title in OVERALL.items()]
    for code, row in scores["per_class"].items():
        metrics += [
            _metric(f"{name}_{code}", f"{PER_CLASS[name]} of {code}", row[name], scores, name) for name in PER_CLASS_SHOWN
        ]
    return {
        "task": {"type": TASK, "name": "Dermoscopic image classification"},
        "dataset": {
            "type": _identifier(known.name if known else source),
            "name": known.name if known else source,
            "split": scores["split"],
            "revision": split.hash,
            "args": {
                "protocol": split.protocol,
                "leaks": bool(split.leaks),
                "n_images": scores["n_images"],
                "n_lesions": scores["n_lesions"],
            },
        },
        "metrics": [metric for metric in metrics if metric is not None],
    }


def _metric(kind: str, title: str, metric: Mapping[str, Any], scores: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """One metric; None where it is undefined, because the Hub has no word for that."""
    if metric["value"] is None:
        return None
    arguments: dict[str, Any] = {"average": "macro"} if name in AVERAGED else {}
    if metric["low"] is not None and metric["high"] is not None:
        arguments |= {"low": metric["low"], "high": metric["high"], "confidence": scores["confidence"]}
    if metric.get("method"):
        arguments["method"] = metric["method"]
    return {"type": kind, "value": metric["value"], "name": title, **({"args": arguments} if arguments else {})}


def _identifier(name: str) -> str:
    """A name as an identifier of the Hub."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "images"


def _yaml(value: Mapping[str, Any], indent: int = 0) -> str:
    """Block YAML of a mapping; texts and numbers as JSON, which is YAML too."""
    return "".join(_line(key, item, " " * indent, indent) for key, item in value.items())


def _line(key: str, item: Any, space: str, indent: int) -> str:
    if isinstance(item, Mapping):
        return f"{space}{key}:\n{_yaml(item, indent + 2)}" if item else ""
    if not isinstance(item, list):
        return f"{space}{key}: {_scalar(item)}\n"
    return f"{space}{key}:\n" + "".join(_element(each, indent) for each in item)


def _element(item: Any, indent: int) -> str:
    if not isinstance(item, Mapping):
        return f"{' ' * indent}- {_scalar(item)}\n"
    block = _yaml(item, indent + 2)
    return f"{' ' * indent}- {block[indent + 2 :]}"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
