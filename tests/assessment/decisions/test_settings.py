"""What cannot be stated is refused in one line."""

import pytest

from lesionlens.assessment.decisions.settings import DecisionSettings
from lesionlens.core.errors import RecipeError
from lesionlens.export.decision_fit import Guarantee


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"specificities": (1.0,)}, "specificities 1.0; it must be between 0 and 1"),
        ({"sensitivities": (0.9, 0.0)}, "sensitivities 0.0"),
        ({"target_prevalences": (-0.1,)}, "target prevalences -0.1"),
        ({"coverage": 1.5}, "coverage 1.5"),
        ({"guaranteed_sensitivity": 1.0}, "melanoma sensitivity 1.0"),
        ({"cost_missed": 0.0, "cost_referral": 1.0}, "cost of a missed melanoma is 0.0; it must be above 0"),
        ({"cost_missed": 1.0, "cost_referral": float("nan")}, "cost of a needless referral is nan"),
        ({"cost_missed": 50.0}, "cost of a needless referral is not stated; state both: --cost-missed 50 --cost-referral 1"),
        ({"cost_referral": 1.0}, "cost of a missed melanoma is not stated"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(RecipeError, match=message) as caught:
        DecisionSettings(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "delta", "message"), [("always", 0.05, "must be one of expectation, pac"), ("pac", 0.0, "delta 0.0")]
)
def test_guarantees_that_cannot_be(kind, delta, message):
    with pytest.raises(RecipeError, match=message):
        Guarantee(kind, delta)
