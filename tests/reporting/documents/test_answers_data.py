import dataclasses

import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.core.recipe_file import recipe_from
from lesionlens.reporting.documents.answers_data import DATA
from lesionlens.reporting.documents.stated import Stated

AUDIT = {
    "n_images": 236,
    "unreadable": [{}],
    "pairs": [{"certain": True}, {"certain": False}],
    "disagreeing": [{}, {}],
    "missing": {"age": 3, "mask": 236, "sex": 0},
}


def with_audit(facts, audit):
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, audit=audit))


def with_recipe(facts, value):
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, recipe=recipe_from(value)))


def test_every_answer_is_a_text_or_a_reason(plain_facts, bundled_facts):
    for facts in (plain_facts, bundled_facts):
        for name, provider in DATA.items():
            answer = provider(facts)
            assert answer.text or answer.missing, name
            assert not answer.text or answer.source, name


def test_splits_and_leaks(plain_facts):
    split = plain_facts.run.split
    text = DATA["splits"](plain_facts).text
    assert f"train {len(split.ids['train'])}, validation {len(split.ids['validation'])}, test {len(split.ids['test'])}" in text
    assert split.hash[:12] in text
    assert (
        "0.0 % of test images and 0.0 % of validation images show a lesion that is also in training."
        in DATA["disjoint"](plain_facts).text
    )


def test_a_leaking_split_says_so(image_index, tmp_path, make_run, facts_of):
    facts = facts_of(make_run(tmp_path / "run", image_index, recipe_from({"name": "leaky", "split": {"protocol": "paper"}})))
    assert DATA["disjoint"](facts).text.startswith("Lesions are not kept together.")
    assert facts.limits[0].name == "leaks"


def test_the_audit(plain_facts):
    assert DATA["quality"](plain_facts).missing == "audit of the images: make it with: lesionlens audit INDEX"
    facts = with_audit(plain_facts, AUDIT)
    assert DATA["quality"](facts).text == (
        "The audit decoded 236 images: 1 unreadable, 2 suspected pairs of one lesion under two ids (1 certain), "
        "2 lesions with contradicting diagnoses."
    )
    assert "Images: 3 without age and 236 without lesion mask." in DATA["missing_data"](facts).text
    assert DATA["missing_data"](plain_facts).missing
    with pytest.raises(ArtifactError, match=r"audit\.json"):
        DATA["quality"](with_audit(plain_facts, {}))


@pytest.mark.parametrize(
    ("protocol", "division", "difference"),
    [
        ("lesion", "stratified by diagnosis", "by one random draw"),
        ("official", "as published", "the publisher separated"),
        ("source", "tested on one clinic", "of another clinic"),
    ],
)
def test_what_the_protocol_means_for_the_splits(plain_facts, protocol, division, difference):
    split = dataclasses.replace(plain_facts.run.split, protocol=protocol)
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, split=split))
    assert f"Protocol {protocol!r}, {division}" in DATA["splits"](facts).text
    assert difference in DATA["comparison_of_splits"](facts).text


def test_what_was_left_out(plain_facts):
    assert DATA["left_out"](plain_facts).text == "No image was left out."
    index = dataclasses.replace(plain_facts.run.index, notes=("3 images without a diagnosis are left out.",))
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, index=index))
    assert DATA["left_out"](facts).text == "Of the images, by file and label: 3 images without a diagnosis are left out."


def test_preprocessing_is_that_of_the_checkpoint(plain_facts, bundled_facts):
    assert "64x64" in DATA["preprocessing"](bundled_facts).text
    assert "pillow-bilinear-antialiased at 72 pixels" in DATA["preprocessing"](bundled_facts).text
    assert "mean 0.7, 0.5, 0.5" in DATA["preprocessing"](bundled_facts).text
    assert "224x224" in DATA["preprocessing"](plain_facts).text


def test_imbalance(plain_facts):
    assert (
        "augmented copies fill each diagnosis of the training split up to 100 % of the largest"
        in DATA["imbalance"](plain_facts).text
    )
    training = {"class_weights": "inverse", "sampler": "balanced", "logit_adjustment": 1.0}
    facts = with_recipe(plain_facts, {"augmentation": {"offline_fill": 0}, "training": training})
    assert DATA["imbalance"](facts).text == (
        "Class imbalance: the loss has class weights (inverse), diagnoses are drawn alike and logits are adjusted (tau 1)."
    )
    assert "nothing was done" in DATA["imbalance"](with_recipe(plain_facts, {"augmentation": {"offline_fill": 0}})).text


def test_numbers_of_the_flow_add_up(plain_facts):
    run = plain_facts.run
    assert f"{len(run.index)} images in the index; 0 in no split" in DATA["flow"](plain_facts).text
    assert f"{run.scores['n_images']} of {run.scores['n_lesions']} lesions were scored" in DATA["flow"](plain_facts).text


def test_a_licence_that_is_not_stated_is_missing(plain_facts, finished_run, facts_of):
    assert DATA["licence"](plain_facts).text == ""
    assert DATA["licence"](plain_facts).missing.startswith("licence of the images: not stated")
    stated = facts_of(finished_run, Stated({"data_licence": "CC0"}, name="stated.toml"))
    assert (DATA["licence"](stated).text, DATA["licence"](stated).source) == ("Licence of the images: CC0.", "stated.toml")
