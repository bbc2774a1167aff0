"""Composed networks of skin-lesion papers, one file each, with where they depart from the paper."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
