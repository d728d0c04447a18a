"""Packages that come with an extra, imported where they are used."""

import importlib
import importlib.util
from typing import Any

from mien.core.errors import ExtraMissingError


def require(module: str, *, extra: str) -> Any:
    """Import a package that an extra brings.

    Args:
        module: Dotted import name, such as ``"openvino"``.
        extra: The extra of mien that installs it.

    Returns:
        The module.

    Raises:
        ExtraMissingError: If it is not installed; the message holds the install command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise ExtraMissingError(
            what=f"the package {module!r} cannot be imported ({err})",
            why=f"it comes with the extra {extra!r}",
            mend=f"run: pip install 'mien[{extra}]'",
            module=module,
            extra=extra,
        ) from err


def is_installed(module: str) -> bool:
    """Whether a package could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
