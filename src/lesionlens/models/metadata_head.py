"""Metadata fusion for any network: what age, sex and site add to the logits of the image.

With a linear classifier, joining image features and embedded metadata before it (concatenation, the usual fusion since
Pacheco & Krohling 2020, "The impact of patient clinical information on automated skin cancer detection") is a sum,
W (f, e) = W_f f + W_e e. So the image keeps its own logits, and the metadata add theirs. If image and metadata are
independent given the diagnosis, such a sum of log-probabilities is Bayes' rule.

The sum is taken relative to "nothing is known", whose share is 0 (up to rounding). A network without metadata is therefore
the same network, and everything that asks for an image only (heat maps, the graph of a bundle, compression) stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.metadata import Metadata, encode, width

HIDDEN = 32
NAME = "metadata_head"
"""Attribute of a network that holds the head, and so the start of its parameters' names."""


class MetadataHead(nn.Module):
    """Logits that metadata add, from their encoding; 0 where nothing is known.

    Args:
        fields: of the encoding, see `core.metadata.FIELDS`.
        n_classes: number of diagnoses, K.
    """

    unknown: Tensor

    def __init__(self, fields: Sequence[str], n_classes: int) -> None:
        super().__init__()
        self.fields = tuple(fields)
        self.hidden = nn.Linear(width(fields), HIDDEN)
        self.output = nn.Linear(HIDDEN, n_classes, bias=False)
        nn.init.normal_(self.output.weight, std=0.01)
        encoded = torch.from_numpy(encode([Metadata()], fields)).to(self.hidden.weight.device)
        self.register_buffer("unknown", encoded, persistent=False)

    def forward(self, encoded: Tensor) -> Tensor:
        """Logits (N, K) to add.

        Args:
            encoded: as `core.metadata.encode` gives it, or a mixture of such rows, (N, D).
        """
        return self._response(encoded) - self._response(self.unknown)

    def _response(self, encoded: Tensor) -> Tensor:
        response: Tensor = self.output(torch.relu(self.hidden(encoded)))
        return response


class WithMetadata(nn.Module):
    """A network and its metadata head as one, so that several processes synchronise both.

    Args:
        network: with a `metadata_head`; shared, not copied.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, encoded: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W) and their encoded metadata (N, D)."""
        logits: Tensor = self.network(images)
        head: Any = getattr(self.network, NAME)
        added: Tensor = head(encoded)
        return logits + added.to(logits.dtype)


def head_of(network: nn.Module) -> MetadataHead | None:
    """The metadata head of a network; None if it has none."""
    head = getattr(network, NAME, None)
    return head if isinstance(head, MetadataHead) else None
