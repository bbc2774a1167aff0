"""Metrics and the one-file HTML report."""
