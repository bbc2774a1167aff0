"""LesionLens: classify dermoscopic images of skin lesions, leak-free and with intervals.

A research and decision-support tool, not a medical device.
"""

__version__ = "0.1.0"
