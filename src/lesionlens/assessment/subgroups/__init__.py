"""For whom predictions are right: metrics by subgroup, and the largest gaps between subgroups."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
