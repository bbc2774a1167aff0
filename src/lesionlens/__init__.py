"""LesionLens: classify dermoscopic images of skin lesions, leak-free and with intervals.

A research and decision-support tool, not a medical device.

    import lesionlens as ll

    run = ll.run("light", "data/HAM10000", "runs/light")   # images to a report and a bundle
    predictor = ll.Predictor(run.bundle)                   # runs without torch
    for prediction in predictor.predict([Path("lesion.jpg")]):
        print(prediction.outcome, prediction.explanation)

Names are loaded when they are first used, so importing the package is fast and loads no torch.
"""

import lazy_loader

__version__ = "0.2.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
