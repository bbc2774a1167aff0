"""Score archives of any size on a cluster of machines, with Ray; nothing here loads torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
