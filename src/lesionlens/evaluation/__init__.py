"""Predictions become figures."""
