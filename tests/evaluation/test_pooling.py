import dataclasses

import numpy as np
import pytest

from lesionlens.core.errors import DataError
from lesionlens.evaluation.pooling import METRICS, pool
from lesionlens.evaluation.scores import score
from lesionlens.evaluation.tables import pooled_table


def seeded(predictions, seed):
    return dataclasses.replace(predictions, origin=dataclasses.replace(predictions.origin, seed=seed))


def test_seeds_are_averaged_and_training_adds_variance(draw):
    runs = [seeded(draw(280, seed=seed), seed) for seed in range(4)]
    pooled = pool(runs, resamples=100)
    assert (pooled["n_runs"], pooled["n_folds"], pooled["n_repetitions"], pooled["n_images"]) == (4, 1, 4, 280)
    assert pooled["metrics"].keys() == set(METRICS)
    row = pooled["metrics"]["accuracy"]
    single = [score(run, resamples=100)["metrics"]["accuracy"]["value"] for run in runs]
    assert row["values"] == pytest.approx(single)
    assert row["value"] == pytest.approx(np.mean(single))
    assert row["training_sd"] == pytest.approx(np.std(single, ddof=1))
    assert row["high"] - row["low"] >= 2 * 1.959 * np.hypot(row["sampling_sd"], row["training_sd"] / 2)
    assert "sd of training" in pooled_table(pooled)


def test_equal_runs_add_no_training_variance(draw):
    pooled = pool([seeded(draw(280), seed) for seed in range(3)], resamples=100)["metrics"]["accuracy"]
    alone = score(draw(280), resamples=100)["metrics"]["accuracy"]
    assert pooled["training_sd"] == 0
    assert pooled["high"] - pooled["low"] == pytest.approx(alone["high"] - alone["low"])


def test_folds_are_joined(draw):
    whole = draw(280)
    pooled = pool([whole.take(np.arange(140)), whole.take(np.arange(140, 280))], resamples=100)
    assert (pooled["n_folds"], pooled["n_repetitions"], pooled["n_images"]) == (2, 1, 280)
    row = pooled["metrics"]["accuracy"]
    assert row["value"] == score(whole, resamples=100)["metrics"]["accuracy"]["value"]
    assert row["training_sd"] is None


def test_runs_that_do_not_go_together(draw):
    whole = draw(280)
    with pytest.raises(DataError, match="two or more runs"):
        pool([whole])
    with pytest.raises(DataError, match="images differ otherwise"):
        pool([whole, whole.take(np.arange(140))])
    with pytest.raises(DataError, match="same number of seeds"):
        pool([whole.take(np.arange(140)), whole.take(np.arange(140)), whole.take(np.arange(140, 280))])
