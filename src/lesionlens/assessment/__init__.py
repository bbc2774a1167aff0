"""What the scores alone do not say: decisions, subgroups, robustness, and other data sets."""
