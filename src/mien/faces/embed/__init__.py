"""Turning aligned faces into templates."""

from mien.faces.embed.protocol import Embedder

__all__ = ["Embedder"]
