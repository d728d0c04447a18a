"""The embedder that we train: network, input range, and its form for inference."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.nn.export import to_onnx
from mien.nn.mobilefacenet import MobileFaceNet, mobilefacenet, mobilefacenet_tiny
from mien.systems.recognition.config import EmbedderConfig


class FaceEmbedder(nn.Module):
    """An aligned crop of a face to an embedding.

    Source:
        Chen et al., "MobileFaceNets", CCBR 2018, section 4.1, for the input's range.
        We differ in one point: crops are divided by 127.5 after the shift, not by 128, so that
        they fill -1 to 1.

    Args:
        network: Maps crops of -1 to 1 to embeddings.
    """

    def __init__(self, network: MobileFaceNet) -> None:
        super().__init__()
        self.network = network

    @property
    def input_px(self) -> int:
        """Side of a crop."""
        return self.network.input_px

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.network.embedding_dim

    def forward(self, crops: Tensor) -> Tensor:
        """Map RGB crops (b, 3, h, w) in 0–1 to embeddings (b, d) of any length, as losses want.

        Raises:
            ShapeError: If the crops have another shape.
        """
        embeddings: Tensor = self.network(crops * 2 - 1)
        return embeddings

    def templates(self, crops: Tensor) -> Tensor:
        """Embeddings of length 1, so that a dot product is the cosine similarity."""
        return functional.normalize(self(crops), dim=1)


def build_embedder(config: EmbedderConfig) -> FaceEmbedder:
    """An untrained embedder."""
    if config.layers == "tiny":
        network = mobilefacenet_tiny(embedding_dim=config.embedding_dim, input_px=config.input_px)
    else:
        network = mobilefacenet(
            embedding_dim=config.embedding_dim, input_px=config.input_px, width=config.width
        )
    return FaceEmbedder(network)


def export_embedder(embedder: FaceEmbedder, path: Path) -> float:
    """Write an embedder as ONNX: ``crops`` (b, 3, h, w) RGB in 0–1 to ``templates`` (b, d).

    Templates have length 1, as `mien.faces.embed.protocol.Embedder` demands.

    Args:
        embedder: The embedder; its mode does not change.
        path: Where the file shall stand.

    Returns:
        The largest difference of a number between torch and ONNX Runtime, on noise.

    Raises:
        IntegrityError: If the two differ by more than 0.0001; nothing is written.
        StorageError: If the file cannot be written.
        ExtraMissingError: If a package of the extra ``train`` is missing.
    """
    where = next(embedder.parameters()).device
    noise = torch.rand(
        3, 3, embedder.input_px, embedder.input_px, generator=torch.Generator().manual_seed(0)
    )
    return to_onnx(
        _Templates(embedder),
        path,
        noise.to(where),
        input_name="crops",
        output_name="templates",
    )


class _Templates(nn.Module):
    """An embedder whose output has length 1."""

    def __init__(self, embedder: FaceEmbedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, crops: Tensor) -> Tensor:
        return self.embedder.templates(crops)
