"""For whom predictions are right: metrics by subgroup, and the largest gaps between subgroups."""
