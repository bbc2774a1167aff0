"""A static site that runs a bundle in the browser: no server, and no image leaves the device."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
