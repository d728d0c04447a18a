"""Choosing an engine by name."""

from pathlib import Path
from typing import Final

from mien.core.errors import ConfigError
from mien.core.optional import is_installed
from mien.core.threads import resolve_threads
from mien.faces.engines.protocol import Engine

PROVIDERS: Final = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Provider name -> the package it needs."""


def available_providers() -> list[str]:
    """Providers whose package is installed here."""
    return [name for name, package in PROVIDERS.items() if is_installed(package)]


def open_engine(
    model: Path, *, provider: str = "onnxruntime", threads: int | None = None
) -> Engine:
    """Load an ONNX file into an engine.

    Args:
        model: The file.
        provider: ``"onnxruntime"`` or ``"openvino"``. Never replaced by another.
        threads: Threads a call may use; None takes what the quota allows.

    Returns:
        The engine.

    Raises:
        ConfigError: If the provider is unknown.
        ExtraMissingError: If its package is not installed.
    """
    count = resolve_threads(threads)
    if provider == "onnxruntime":
        from mien.faces.engines.onnx_runtime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(model, threads=count)
    if provider == "openvino":
        from mien.faces.engines.open_vino import OpenVinoEngine

        return OpenVinoEngine(model, threads=count)
    raise ConfigError(
        what=f"provider is {provider!r}",
        why=f"mien knows {', '.join(PROVIDERS)}",
        mend="choose one of them; `mien doctor` shows which are installed",
    )
