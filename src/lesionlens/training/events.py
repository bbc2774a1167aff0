"""TensorBoard events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lesionlens.core.errors import TrainingError
from lesionlens.training.history import Epoch


def open_events(folder: Path) -> Any:
    """Open a TensorBoard writer in `folder`.

    Raises:
        TrainingError: if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            "training.tensorboard = true, but TensorBoard is not installed; "
            "install it with: pip install 'lesionlens[tensorboard]', or set it to false"
        ) from error
    return SummaryWriter(str(folder))


def write_events(writer: Any, epoch: Epoch) -> None:
    """Write the numbers of one epoch."""
    numbers = {name: value for name, value in epoch.to_json().items() if isinstance(value, float)}
    numbers |= {f"validation_{name}": value for name, value in epoch.validation.items() if value is not None}
    for name, value in numbers.items():
        writer.add_scalar(name, value, epoch.epoch)
    writer.flush()
