"""Calibration and decisions: recalibration, operating points, guarantees, decision curves, costs and conformal sets."""
