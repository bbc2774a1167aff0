"""External evaluation: a frozen model on images that it was not trained with, from another centre, camera or decade."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
