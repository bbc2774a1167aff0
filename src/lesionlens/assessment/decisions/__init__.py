"""Calibration and decisions: recalibration, operating points, guarantees, decision curves, costs and conformal sets."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
