"""Distillation: a trained network teaches a student, in addition to the labels (Hinton 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lesionlens.models.metadata_head import head_of


def divergence(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) of the softened probabilities, summed over the batch, a scalar.

    T^2 keeps its gradient on the scale of the labels' for any T (Hinton 2015, section 2.1).
    It is 0 where both agree and has the gradient of the cross entropy with soft targets.

    Args:
        logits: of the student, shape (N, K), any float type; computed in float32.
        teacher_logits: of the teacher for the same pixels, shape (N, K).
        temperature: T, above 0; both logits are divided by it.
    """
    log_p = functional.log_softmax(logits.float() / temperature, dim=1)
    log_q = functional.log_softmax(teacher_logits.float() / temperature, dim=1)
    return functional.kl_div(log_p, log_q, reduction="sum", log_target=True) * temperature**2


@dataclass(frozen=True)
class Teacher:
    """A trained network whose logits the student learns to match.

    Logit adjustment and class weights apply only to the labels' share of the loss: student and
    teacher are compared by the logits that inference uses.

    Attributes:
        network: returns logits (N, K) for the normalised images that the student sees.
        temperature: T of `divergence`, above 0.
        weight: share of the teacher in the loss, in (0, 1]; the rest is that of the labels.
    """

    network: nn.Module
    temperature: float
    weight: float

    def prepare(self, device: torch.device, channels_last: bool) -> None:
        """Freeze the network and move it to the student's device."""
        self.network.eval().requires_grad_(False).to(device)
        if channels_last:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def logits(self, images: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W) and encoded metadata (N, D), which may be augmented and mixed.

        A teacher without a metadata head sees the images alone.
        """
        logits: Tensor = self.network(images)
        head = head_of(self.network)
        return logits if head is None or metadata is None else logits + head(metadata).to(logits.dtype)

    def blend(self, loss: Tensor, logits: Tensor, teacher_logits: Tensor, n_images: float) -> Tensor:
        """The weighted mean of `loss`, that of the labels, and the mean divergence over `n_images`."""
        distillation_loss = divergence(logits, teacher_logits, self.temperature) / n_images
        return (1 - self.weight) * loss + self.weight * distillation_loss
