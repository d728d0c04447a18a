"""The packaged networks as files that an engine runs well: rewritten once, then found in the cache.

The rewriting itself (`expand`) needs the package onnx, which takes longer to import than all else
here; it is loaded only when a network is not in the cache yet.
"""

from pathlib import Path
from typing import Final, Literal

from mien.core.weights import derived_file, resolve_weights

_RECIPE: Final = "float32-2"
_RECIPE_WITHOUT_PRELU: Final = "float32-relu-4"
"""Versions of the rewriting, part of the files' names. Change them when `expand` changes."""


def packaged_network(
    name: str, *, provider: str, require: Literal["commercial"] | None = None
) -> tuple[Path, str]:
    """A packaged network for a provider.

    Args:
        name: Name of its weight card, such as ``"sface"``.
        provider: Which engine will run it; for ONNX Runtime PReLU is rewritten.
        require: ``"commercial"`` refuses weights that are not known to allow commercial use.

    Returns:
        The file, and the SHA-256 of the weights that it was made from.

    Raises:
        WeightsMissingError: If the weights are not at hand.
        RefusedError: If ``require`` is not met.
        IntegrityError: If the weights are damaged.
        StorageError: If the cache cannot be written.
    """
    weights = resolve_weights(name, require=require)
    split = provider == "onnxruntime"

    def build(target: Path) -> None:
        from mien.faces.engines.expand import expand_network

        expand_network(weights.path, target, split_prelu=split)

    recipe = _RECIPE_WITHOUT_PRELU if split else _RECIPE
    return derived_file(weights.sha256, recipe, "onnx", build), weights.sha256
