"""Frozen dataclasses from TOML or JSON and back, with the path of the faulty key in every error."""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from mien.core.errors import ConfigError

T = TypeVar("T")

_MUST: Final = "it must be "


def from_mapping(kind: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """Build a dataclass from a mapping. Unknown keys and wrong types are refused.

    Args:
        kind: A dataclass; fields may be plain values, tuples, Literals, unions with None, mappings
            with string keys, or dataclasses.
        values: The mapping, such as a parsed TOML file.
        path: Where in the file we are, for messages.

    Returns:
        The dataclass; its own ``__post_init__`` has run.

    Raises:
        ConfigError: With the path of the faulty key.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in fields]
    if unknown:
        raise ConfigError(
            what=f"unknown key {_join(path, unknown[0])!r}",
            why=f"{path or kind.__name__} has the keys {', '.join(fields)}",
            mend="correct the spelling, or remove the key",
            path=_join(path, unknown[0]),
        )
    missing = [
        name
        for name, f in fields.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(
            what=f"the key {_join(path, missing[0])!r} is missing",
            why="it has no default",
            mend="add it",
            path=_join(path, missing[0]),
        )
    return kind(**{k: _convert(hints[k], v, _join(path, k)) for k, v in values.items()})


def to_mapping(value: Any) -> Any:
    """The plain form of a dataclass: mappings, lists, strings and numbers.

    A field that is None is left out where None is its default, and kept elsewhere, so that
    `from_mapping` gives the same dataclass again.
    """
    if dataclasses.is_dataclass(value):
        items = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: to_mapping(v) for f, v in items if v is not None or f.default is not None}
    if isinstance(value, Mapping):
        return {str(k): to_mapping(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_mapping(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def load_config(kind: type[T], path: Path) -> T:
    """Read a dataclass from a ``.toml`` or ``.json`` file.

    Raises:
        ConfigError: If the file is missing, does not parse, or a key is faulty.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as err:
        raise ConfigError(
            what=f"{path} cannot be read as a configuration ({err})",
            why="it must be a TOML or JSON file",
            mend="check the path and the syntax",
        ) from err
    if not isinstance(values, dict):
        raise ConfigError(
            what=f"{path} holds a {type(values).__name__}",
            why="a configuration is a table of keys and values",
            mend="write `key = value` lines, or a JSON object",
        )
    return from_mapping(kind, values)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        is_one = any(type(value) is type(arg) and value == arg for arg in args)  # True == 1
        return _check(is_one, value, path, f"one of {', '.join(map(repr, args))}")
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, path)
    if dataclasses.is_dataclass(hint):
        _check(isinstance(value, Mapping), value, path, "a table")
        return from_mapping(typing.cast("type[Any]", hint), value, path)
    if origin is tuple:
        _check(isinstance(value, (list, tuple)), value, path, "a list")
        inner = args[0] if args[1:] == (...,) else None
        kinds = [inner] * len(value) if inner else list(args)
        _check(len(kinds) == len(value), value, path, f"a list of {len(kinds)}")
        return tuple(
            _convert(k, v, f"{path}[{i}]")
            for i, (k, v) in enumerate(zip(kinds, value, strict=True))
        )
    if origin in (dict, Mapping):
        _check(isinstance(value, Mapping), value, path, "a table")
        return {str(k): _convert(args[1], v, _join(path, str(k))) for k, v in value.items()}
    if hint is float:
        _check(
            isinstance(value, (int, float)) and not isinstance(value, bool), value, path, "a number"
        )
        return float(value)
    if hint is int:
        return _check(
            isinstance(value, int) and not isinstance(value, bool), value, path, "a whole number"
        )
    if hint is Path:
        return Path(_check(isinstance(value, str), value, path, "a path"))
    return _check(
        isinstance(value, hint), value, path, f"of type {getattr(hint, '__name__', hint)}"
    )


def _convert_union(args: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in args:
        return None
    kinds = [a for a in args if a is not type(None)]
    errors = []
    for kind in kinds:
        try:
            return _convert(kind, value, path)
        except ConfigError as err:
            errors.append(err)
    deeper = [err for err in errors if err.facts.get("path") != path]
    if deeper:  # the kind was right, and something inside it wrong
        raise deeper[-1]
    raise _wrong(value, path, " or ".join(err.why.removeprefix(_MUST) for err in errors))


def _check(ok: bool, value: Any, path: str, wanted: str) -> Any:  # noqa: FBT001
    if not ok:
        raise _wrong(value, path, wanted)
    return value


def _wrong(value: Any, path: str, wanted: str) -> ConfigError:
    return ConfigError(
        what=f"{path} is {value!r}", why=_MUST + wanted, mend="correct the value", path=path
    )
