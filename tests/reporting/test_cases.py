import dataclasses

import numpy as np

from lesionlens.reporting.cases import MISTAKES, confident_mistakes, confident_right
from lesionlens.reporting.run_folder import RunContents, read_run


def with_logits(run: RunContents, logits: np.ndarray) -> RunContents:
    return dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, logits=logits.astype(np.float32)))


def all_right(run: RunContents) -> np.ndarray:
    return 5.0 * np.eye(len(run.labels))[run.predictions.labels]


def test_mistakes_are_wrong_the_surest_first_one_a_lesion(run_folder):
    run = read_run(run_folder)
    cases = confident_mistakes(run)
    assert 5 < len(cases) <= MISTAKES
    assert confident_mistakes(run, most=3) == cases[:3]
    assert all(case.true != case.called for case in cases)
    assert [case.share_called for case in cases] == sorted((case.share_called for case in cases), reverse=True)
    lesion_of = dict(zip(run.predictions.image_ids.tolist(), run.predictions.lesion_ids.tolist(), strict=True))
    assert len({lesion_of[case.image_id] for case in cases}) == len(cases)
    wrong = run.probabilities.argmax(1) != run.predictions.labels
    assert cases[0].share_called == run.probabilities.max(1)[wrong].max()


def test_a_malignant_lesion_called_benign_is_marked(run_folder):
    run = read_run(run_folder)
    mel, nv = run.labels.index("mel"), run.labels.index("nv")
    logits = all_right(run)
    first_mel, first_nv = (int(np.flatnonzero(run.predictions.labels == place)[0]) for place in (mel, nv))
    logits[first_mel], logits[first_nv] = 9 * np.eye(7)[nv], 8 * np.eye(7)[mel]
    missed, alarm = confident_mistakes(with_logits(run, logits))
    assert (missed.true.code, missed.called.code, missed.missed) == ("mel", "nv", True)
    assert (alarm.true.code, alarm.called.code, alarm.missed) == ("nv", "mel", False)


def test_no_mistakes(run_folder):
    run = read_run(run_folder)
    assert confident_mistakes(with_logits(run, all_right(run))) == []


def test_correct_predictions_are_one_per_diagnosis(run_folder):
    cases = confident_right(read_run(run_folder), most=7)
    assert len({case.true.code for case in cases}) == len(cases) == 7
    assert all(case.true == case.called for case in cases)
