"""Answers on the images: sources, splits, leaks, what is missing, who is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lesionlens.data.leaks import leak_sentences
from lesionlens.data.protocols import SPLITS
from lesionlens.export.provenance import is_unstated
from lesionlens.reporting.documents.answers import Answer, Provider, counted, guarded, lacking, words
from lesionlens.reporting.documents.answers_study import published
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.numbers import stated_share
from lesionlens.reporting.documents.people import counts_text

DIVIDED = {"official": "as published", "source": "tested on one clinic or collection"}  # else stratified by diagnosis
FIELDS = {"age": "age", "sex": "sex", "site": "site", "lesion_id": "lesion id", "patient_id": "patient id", "mask": "lesion mask"}


def sources(facts: RunFacts) -> Answer:
    """Where the images come from, how many they are, and where they can be had."""
    index, known = facts.run.index, published(facts)
    name = "drawn by a program" if facts.synthetic else known.name if known else f"read as {index.source!r}"
    where = f", {known.url} ({known.citation})" if known else ""
    routine = "" if facts.synthetic else " They existed before the network; none was taken for it."
    return Answer(f"{len(index):,} images, {name}{where}; index {index.hash[:12]}.{routine}", "index.csv")


def licence(facts: RunFacts) -> Answer:
    """Licence of the images."""
    text = facts.card["licences"]["data"]
    if is_unstated(text):
        return Answer(missing=f"licence of the images: {text}")
    return Answer(f"Licence of the images: {text}.", facts.stated.name if facts.stated.text("data_licence") else "index.csv")


def left_out(facts: RunFacts) -> Answer:
    """Which images were excluded, and why."""
    run = facts.run
    notes = [*run.index.notes, *run.split.notes]
    dropped = len(run.store.dropped) if run.store is not None else 0
    if dropped:
        notes.append(f"{dropped} images could not be decoded and are not in the store")
    if run.split.leak_rate.get("left_out"):
        notes.append(f"{run.split.leak_rate['left_out']} images of the index are in no split")
    text = "; ".join(note.rstrip(".") for note in notes)
    return Answer(f"Of the images, by file and label: {text}." if text else "No image was left out.", "index.csv, split.json")


@guarded("audit")
def quality(facts: RunFacts) -> Answer:
    """What the audit found."""
    audit = facts.run.audit
    if audit is None:
        return lacking(facts, "audit", "audit of the images")
    certain = sum(bool(pair["certain"]) for pair in audit["pairs"])
    return Answer(
        f"The audit decoded {audit['n_images']:,} images: {len(audit['unreadable'])} unreadable, {len(audit['pairs'])} suspected "
        f"pairs of one lesion under two ids ({certain} certain), {len(audit['disagreeing'])} lesions with contradicting "
        f"diagnoses.",
        "audit.json",
    )


@guarded("audit")
def missing_data(facts: RunFacts) -> Answer:
    """Which fields are missing, and what that does to the network."""
    handled = "The network sees pixels alone, so a missing field changes no prediction, and nothing was imputed."
    audit = facts.run.audit
    if audit is None:
        return Answer(handled, "index.csv", lacking(facts, "audit", "images without each field").missing)
    missing = [f"{count:,} without {FIELDS.get(name, name)}" for name, count in audit["missing"].items() if count]
    return Answer(f"Images: {words(missing) if missing else 'no field is missing'}. {handled}", "audit.json")


def preprocessing(facts: RunFacts) -> Answer:
    """How pixels are prepared, the same way in training, testing and use."""
    spec = facts.card["input"]
    filter_name = f" with the filter {spec['filter']}" if "filter" in spec else ""
    rule = "squashed to a square" if spec["resize"] == "squash" else "scaled by its short side and cropped in the centre"
    norm = f", normalised with mean {_numbers(spec['mean'])} and deviation {_numbers(spec['std'])}" if "mean" in spec else ""
    return Answer(
        f"Each image is converted to sRGB, {rule}{filter_name} at {spec.get('frame', spec['size'])} pixels, of which the network "
        f"sees {spec['size']}x{spec['size']}{norm}. The same code prepares the images of all groups of people and of all splits.",
        "train/best.safetensors" if "filter" in spec else "recipe.toml",
    )


def splits(facts: RunFacts) -> Answer:
    """How the images were divided."""
    split = facts.run.split
    groups = split.leak_rate.get("groups_by_split", {})
    shown = counted({name: len(split.ids[name]) for name in SPLITS})
    lesions = f" (groups: {counted({name: groups[name] for name in SPLITS})})" if set(groups) >= set(SPLITS) else ""
    by = DIVIDED.get(split.protocol, "stratified by diagnosis")
    return Answer(
        f"Protocol {split.protocol!r}, {by}, seed {split.seed}: images {shown}{lesions}; split {split.hash[:12]}. The training "
        "split trains, the validation split selects the epoch and fits thresholds, the test split is scored.",
        "split.json",
    )


def disjoint(facts: RunFacts) -> Answer:
    """At which level the splits are disjoint, and what leaks all the same."""
    split = facts.run.split
    counts = {name: len(split.ids[name]) for name in SPLITS}
    pairs = (
        f" {len(split.pairs)} pairs of images known to show one lesion under two ids were kept together." if split.pairs else ""
    )
    level = (
        "Lesions are not kept together."
        if split.leaks
        else "Images of one lesion, and of one patient where known, stay together."
    )
    return Answer(f"{level} {_sentence('; '.join(leak_sentences(split.leak_rate, counts)))}{pairs}", "split.json")


def flow(facts: RunFacts) -> Answer:
    """Numbers from the index to the scored images."""
    run = facts.run
    scored, dropped = run.scores["n_images"], run.scores.get("n_dropped", 0)
    unused = run.split.leak_rate.get("left_out", 0)
    return Answer(
        f"{len(run.index):,} images in the index; {unused} in no split; "
        f"{counted({name: len(run.split.ids[name]) for name in SPLITS})}; "
        f"of the {run.scores['split']} split {dropped} could not be read and {scored:,} of {run.scores['n_lesions']:,} "
        f"lesions were "
        "scored.",
        "index.csv, split.json, scores.json",
    )


def demographics(facts: RunFacts) -> Answer:
    """Age, sex, site and diagnosis by split."""
    texts = [_described(name, counts) for name, counts in facts.people.items() if counts["images"]]
    return Answer(
        " ".join(texts) + " The table is in card.md.",
        "index.csv, split.json",
        "race, ethnicity and skin type: the index has no such field",
    )


def events(facts: RunFacts) -> Answer:
    """Images of each diagnosis by split."""
    texts = [f"{name}: {counted(counts['dx'])}" for name, counts in facts.people.items() if counts["images"]]
    return Answer(f"Images by diagnosis, {'; '.join(texts)}.", "index.csv, split.json")


def comparison_of_splits(facts: RunFacts) -> Answer:
    """Whether training and test images differ."""
    if facts.run.split.protocol == "source":
        return Answer("The test images are of another clinic or collection than the training images.", "split.json")
    if facts.run.split.protocol == "official":
        return Answer("Training and test images are those that the publisher separated.", "split.json")
    return Answer(
        "All splits come from the same source by one random draw, so setting, eligibility and outcome do not differ.",
        "split.json",
    )


def imbalance(facts: RunFacts) -> Answer:
    """What was done about rare diagnoses."""
    recipe = facts.run.recipe
    training, augmentation = recipe.training, recipe.augmentation
    means = []
    if augmentation.offline_fill:
        means.append(
            f"augmented copies fill each diagnosis of the training split up to {stated_share(augmentation.offline_fill)} "
            f"of the largest"
        )
    if training.class_weights != "none":
        means.append(f"the loss has class weights ({training.class_weights})")
    if training.sampler == "balanced":
        means.append("diagnoses are drawn alike")
    if training.logit_adjustment:
        means.append(f"logits are adjusted (tau {training.logit_adjustment:g})")
    text = words(means) if means else "nothing was done about it"
    return Answer(f"Class imbalance: {text}.", "recipe.toml")


def _described(name: str, counts: Mapping[str, Any]) -> str:
    age = counts["age"]
    years = f"age {age['median']:g} ({age['low']:g} to {age['high']:g})" if age["median"] is not None else "age unknown"
    return f"{name}: {counts['images']:,} images, {years}, {counts_text(counts['sex'])}."


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _sentence(text: str) -> str:
    return f"{text}." if text else ""


DATA: dict[str, Provider] = {
    "sources": sources,
    "licence": licence,
    "left_out": left_out,
    "quality": quality,
    "missing_data": missing_data,
    "preprocessing": preprocessing,
    "splits": splits,
    "disjoint": disjoint,
    "flow": flow,
    "demographics": demographics,
    "events": events,
    "comparison_of_splits": comparison_of_splits,
    "imbalance": imbalance,
}
