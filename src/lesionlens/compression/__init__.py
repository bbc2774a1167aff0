"""Smaller and faster: quantised, pruned and distilled variants of a trained network, measured side by side."""
