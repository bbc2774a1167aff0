"""Simulated predictions for the tests of every assessment."""

from tests.assessment.decisions.conftest import draw  # noqa: F401
