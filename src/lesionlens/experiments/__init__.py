"""Many runs as one experiment: grids, folds and seeds."""
