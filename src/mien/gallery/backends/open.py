"""Galleries in servers by one URL, as settings and command lines give them."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from mien.core.errors import ConfigError, ContractError
from mien.gallery.backends._record import Ann
from mien.gallery.backends.milvus import MilvusIndex
from mien.gallery.backends.postgres import PostgresIndex

SCHEMES: Final = ("milvus+file", "milvus+http", "milvus+https", "postgresql")
"""What a URL may begin with."""

_FORMS: Final = (
    "milvus+file:///path/faces.db#collection, milvus+http://host:19530/#collection, "
    "postgresql://user@host/database#table"
)

ServerIndex = MilvusIndex | PostgresIndex


def open_index(url: str, *, contract: str | None = None) -> ServerIndex:
    """Open a gallery that exists.

    Args:
        url: ``milvus+file:///path/faces.db#collection``, ``milvus+http://host:19530/#collection``
            (or ``https``; ``user:password@`` in front of the host, a database behind it) or
            ``postgresql://user@host/database#table``.
        contract: Id of the pipeline in use, if it is known.

    Raises:
        ConfigError: If the URL cannot be read, or has a scheme that is not known.
        MissingError: If there is no gallery.
        IntegrityError: If what is there is none.
        ContractError: If another pipeline made it.
        StorageError: If the server cannot be used.
        ExtraMissingError: If the packages for that server are not installed.
    """
    index = _named(url, None)
    try:
        index.open()
        if contract is not None and index.contract != contract:
            raise ContractError(
                what=f"the gallery holds templates of {index.contract}, not of {contract}",
                why="scores between templates of two pipelines mean nothing",
                mend="use the detector and embedder that the gallery was made with, or enrol anew",
            )
    except BaseException:
        index.close()
        raise
    return index


def create_index(url: str, contract: str, dim: int, *, ann: Ann | None = None) -> ServerIndex:
    """Make a gallery; it is empty and open afterwards.

    Args:
        url: As for `open_index`.
        contract: Id of the pipeline whose templates it will hold.
        dim: Length of a template.
        ann: ``"hnsw"`` for approximate search; see the classes for its parameters.

    Raises:
        ConfigError: If the URL cannot be read, or has a scheme that is not known.
        ConflictError: If it exists.
        StorageError: If the server cannot be used.
        ExtraMissingError: If the packages for that server are not installed.
    """
    index = _named(url, ann)
    try:
        index.create(contract, dim)
    except BaseException:
        index.close()
        raise
    return index


def _named(url: str, ann: Ann | None) -> ServerIndex:
    """What a URL names, not yet open. Errors do not repeat the URL: it may hold a password."""
    address, _, name = url.rpartition("#")
    scheme, separator, rest = address.partition("://")
    if scheme not in SCHEMES or not separator:
        shown = scheme if separator and scheme.replace("+", "").isalnum() else ""
        raise ConfigError(
            what=f"the scheme of the gallery's URL is {shown!r}"
            if shown
            else "the gallery's URL is not complete",
            why=f"mien knows {', '.join(SCHEMES)}, and the gallery's name stands behind a #",
            mend=f"write it as one of: {_FORMS}",
        )
    if scheme == "postgresql":
        return PostgresIndex(address, name, ann=ann)
    if scheme == "milvus+file":
        return MilvusIndex(str(_path(address)), name, ann=ann)
    return MilvusIndex(f"{scheme.removeprefix('milvus+')}://{rest}", name, ann=ann)


def _path(address: str) -> Path:
    parts = urlsplit(address)
    path = Path(unquote(parts.path))
    if parts.netloc or path.suffix != ".db":
        raise ConfigError(
            what="the URL of a gallery in Milvus Lite has no usable path",
            why="it is an absolute path, with three slashes before it, and ends in .db",
            mend="write it as milvus+file:///path/faces.db#collection",
        )
    return path
