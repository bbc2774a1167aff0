"""The documents of a run: model card, reporting checklists and machine-readable cards, all from the run's artifacts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
