"""The whole pipeline: from a folder of images to a report, one stage after another."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
