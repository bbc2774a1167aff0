"""What every room may touch: diagnoses, errors, recipes, seeds, artifacts."""
