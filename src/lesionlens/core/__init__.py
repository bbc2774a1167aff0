"""What every package may use: diagnoses, errors, recipes, runs, seeds, artifacts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
