"""The metadata head of a network as the NumPy weights of a bundle."""

from __future__ import annotations

import torch

from lesionlens.bundle.metadata import MetadataWeights
from lesionlens.core.metadata import SITES, Metadata, encode
from lesionlens.models.metadata_head import MetadataHead

EXAMPLES = (Metadata(), Metadata(55.0, "female", SITES[0]), Metadata(age=7.5), Metadata(80.0, "male", SITES[-1]))


@torch.no_grad()
def metadata_weights(head: MetadataHead) -> MetadataWeights:
    """Its weights, with an example that a bundle is checked on whenever it is loaded."""
    device = head.hidden.weight.device
    examples = torch.from_numpy(encode(EXAMPLES, head.fields)).to(device)
    arrays = (head.hidden.weight, head.hidden.bias, head.output.weight, examples, head(examples))
    return MetadataWeights(*(array.float().cpu().numpy() for array in arrays))
