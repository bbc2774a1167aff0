"""Put the int8 bundle of a finished run into model/, the distribution that `lesionlens[model]` installs.

    python tools/make_model.py RUN [--variant int8]

Beside the bundle, model/training/ gets what its scores can be rebuilt from: recipe, split, training log, and the predictions of
the validation and test splits. model/README.md is the bundle's card.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from lesionlens.bundle.variants import keep_variants
from lesionlens.core.run import Run

MODEL = Path(__file__).resolve().parents[1] / "model"
MOST_BYTES = 12_000_000


def main() -> None:
    """Trim, copy, and check the size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--variant", default="int8")
    options = parser.parse_args()
    run = Run.at(options.run)
    bundle = keep_variants(run.bundle, [options.variant], MODEL / "src" / "lesionlens_model" / "bundle")
    training = MODEL / "training"
    training.mkdir(exist_ok=True)
    for path in (run.recipe, run.split, run.history, run.predictions, run.validation_predictions, run.scores):
        shutil.copyfile(path, training / path.name)
    shutil.copyfile(bundle.path / "card.md", MODEL / "README.md")
    size_bytes = sum(int(file["size_bytes"]) for file in bundle.files.values())
    print(f"{bundle.name} {bundle.id[:12]}: {size_bytes / 1e6:.2f} MB in {len(bundle.files)} files")
    if size_bytes > MOST_BYTES:
        raise SystemExit(f"the bundle has {size_bytes} bytes; at most {MOST_BYTES} are allowed. Keep fewer variants")


if __name__ == "__main__":
    main()
