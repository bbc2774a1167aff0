"""AlexNet and ShuffleNetV2 of torchvision, which timm does not have, with the methods that LesionLens calls.

Parameters keep torchvision's names, so its files of weights fit once they are converted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lesionlens.models.operators import declare_operators

declare_operators()
from torchvision.models import AlexNet, ShuffleNetV2  # noqa: E402  it needs the operators

SHUFFLENET_CHANNELS = {
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}
"""Channels of the stem, the three stages and the last convolution (Ma 2018, table 5)."""
SHUFFLENET_REPEATS = (4, 8, 4)
ALEXNET_GRID = 6
ALEXNET_DROPOUT = 0.5


class AlexNetOfTorchvision(AlexNet):  # type: ignore[misc]
    """AlexNet (Krizhevsky 2014, "One weird trick"), torchvision's, with features and head apart.

    torchvision pools the features to 6 x 6 cells, which ONNX cannot express unless they divide evenly; here the same means
    are two matrix products.
    """

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, 256, h, w) of normalised images (N, 3, H, W) of at least 63 pixels."""
        features: Tensor = self.features(images)
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, K) of features (N, 256, h, w); with `pre_logits` the input of the last layer, (N, 4096)."""
        rows, columns = (pooling_matrix(side, ALEXNET_GRID).to(features) for side in features.shape[2:])
        hidden: Tensor = self.classifier[:-1](torch.flatten(rows @ features @ columns.T, 1))
        return hidden if pre_logits else self.classifier[-1](hidden)

    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        classifier: nn.Module = self.classifier[-1]
        return classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W)."""
        return self.forward_head(self.forward_features(images))


class ShuffleNetOfTorchvision(ShuffleNetV2):  # type: ignore[misc]
    """ShuffleNetV2 (Ma 2018), torchvision's, with features and head apart.

    Args:
        name: one of `SHUFFLENET_CHANNELS`.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer, which torchvision's has not.
    """

    def __init__(self, name: str, n_classes: int, drop_rate: float = 0.0) -> None:
        super().__init__(list(SHUFFLENET_REPEATS), list(SHUFFLENET_CHANNELS[name]), num_classes=n_classes)
        self.head_drop = nn.Dropout(drop_rate)
        self.num_features = SHUFFLENET_CHANNELS[name][-1]

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w), a 32nd of the side, of normalised images (N, 3, H, W)."""
        cells = self.maxpool(self.conv1(images))
        features: Tensor = self.conv5(self.stage4(self.stage3(self.stage2(cells))))
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, K) of features (N, C, h, w); with `pre_logits` the pooled features, (N, C)."""
        pooled: Tensor = self.head_drop(features.mean((2, 3)))
        return pooled if pre_logits else self.get_classifier()(pooled)

    def get_classifier(self) -> nn.Module:
        """The linear layer."""
        classifier: nn.Module = self.fc
        return classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W)."""
        return self.forward_head(self.forward_features(images))


def pooling_matrix(cells: int, bins: int) -> Tensor:
    """Adaptive average pooling of one axis as a matrix (bins, cells): bin i averages floor(i c / b) to ceil((i + 1) c / b).

    >>> pooling_matrix(3, 2).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """
    matrix = torch.zeros(bins, cells)
    for number in range(bins):
        first, last = number * cells // bins, -(-(number + 1) * cells // bins)
        matrix[number, first:last] = 1 / (last - first)
    return matrix
