"""Engines run ONNX networks: one protocol, several providers, never one in place of another."""

from mien.faces.engines.open import PROVIDERS, available_providers, open_engine
from mien.faces.engines.protocol import Engine

__all__ = ["PROVIDERS", "Engine", "available_providers", "open_engine"]
