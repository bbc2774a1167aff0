"""The documents of a run: model card, reporting checklists and machine-readable cards, all from the run's artifacts."""
