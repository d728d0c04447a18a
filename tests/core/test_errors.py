"""The tree is what its drawing says, and every error survives a trip between processes."""

import copy
import errno
import json
import pickle
import re

import pytest

from mien.core import errors
from mien.core.errors import ExtraMissingError, MienError, StorageError

WORDS = {"what": "crop is 50 px", "why": "64 px are needed", "mend": "pass a larger crop"}
LINE = re.compile(
    r"^(?P<branch>[│├└─ ]*)(?P<name>\w+)(?: \((?P<base>\w+)\))?"
    r"\s{2,}(?P<code>[a-z_]+)\s+(?P<status>\d{3})\s+(?P<exit>\d+)",
    re.MULTILINE,
)


def every_error() -> list[type[MienError]]:
    found = [MienError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


def drawing() -> dict[str, dict[str, str | int | None]]:
    """Name to parent, built-in base, code, status and exit, as the docstring draws them."""
    rows: dict[str, dict[str, str | int | None]] = {}
    above = {-1: "MienError"}
    for row in LINE.finditer(errors.__doc__):
        depth = len(row["branch"]) // 4 - 2  # the block is indented by one step
        above[depth] = row["name"]
        rows[row["name"]] = {
            "parent": above[depth - 1],
            "base": row["base"],
            "code": row["code"],
            "status": int(row["status"]),
            "exit": int(row["exit"]),
        }
    return rows


def described(kind: type[MienError]) -> dict[str, str | int | None]:
    parent, *more = kind.__bases__
    return {
        "parent": parent.__name__,
        "base": more[0].__name__ if more else None,
        "code": kind.code,
        "status": kind.status,
        "exit": kind.exit_code,
    }


def test_the_drawing_equals_the_classes() -> None:
    below_root = [kind for kind in every_error() if kind is not MienError]
    assert drawing() == {kind.__name__: described(kind) for kind in below_root}


def test_the_public_names_of_the_module_are_the_tree() -> None:
    named = {n for n, v in vars(errors).items() if isinstance(v, type) and not n.startswith("_")}
    assert named == {kind.__name__ for kind in every_error()}


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))


def test_every_status_is_an_error_of_http_and_every_exit_value_fails() -> None:
    for kind in every_error():
        assert 400 <= kind.status < 600, kind
        assert 1 <= kind.exit_code < 126, kind  # 0 is success; 126 and above belong to the shell


@pytest.mark.parametrize("kind", every_error())
def test_the_words_are_what_why_mend(kind: type[MienError]) -> None:
    error = kind(**WORDS)
    assert str(error) == "crop is 50 px; 64 px are needed; pass a larger crop"
    assert error.args == tuple(WORDS.values())
    assert (error.what, error.why, error.mend, error.facts) == (*WORDS.values(), {})


@pytest.mark.parametrize("word", list(WORDS))
def test_none_of_the_three_words_may_be_left_out(word: str) -> None:
    rest = {k: v for k, v in WORDS.items() if k != word}
    with pytest.raises(TypeError, match=word):
        MienError(**rest)


@pytest.mark.parametrize("travel", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("kind", every_error())
def test_an_error_arrives_whole_in_another_process(kind, travel) -> None:
    error = kind(**WORDS, path="model.width", count=3)
    arrived = travel(error)
    assert type(arrived) is kind
    assert arrived.as_record() == error.as_record()
    assert str(arrived) == str(error)


def test_the_record_is_flat_json_and_has_facts_only_if_there_are_any() -> None:
    bare = errors.ShapeError(**WORDS).as_record()
    assert bare == {"code": "shape", **WORDS}
    full = errors.ConfigError(**WORDS, path="model.width").as_record()
    assert full == {"code": "config", **WORDS, "facts": {"path": "model.width"}}
    assert json.loads(json.dumps(full)) == full


def test_a_record_does_not_share_its_facts_with_the_error() -> None:
    error = MienError(**WORDS, count=3)
    error.as_record()["facts"]["count"] = 4
    assert error.facts == {"count": 3}


@pytest.mark.parametrize("builtin", [ValueError, LookupError, ImportError, OSError])
def test_the_tree_may_be_caught_by_the_built_in_kinds(builtin: type[Exception]) -> None:
    kinds = [kind for kind in every_error() if issubclass(kind, builtin)]
    assert kinds
    for kind in kinds:
        with pytest.raises(builtin, match="64 px are needed"):
            raise kind(**WORDS)


def test_a_storage_error_answers_as_an_oserror_with_its_number() -> None:
    error = StorageError(**WORDS, errno=errno.ENOSPC)
    assert (error.errno, error.facts) == (errno.ENOSPC, {"errno": errno.ENOSPC})
    assert (error.strerror, error.filename) == (None, None)  # not the three words
    assert pickle.loads(pickle.dumps(error)).errno == errno.ENOSPC
    assert StorageError(**WORDS).errno is None


def test_an_import_error_keeps_its_facts() -> None:
    error = ExtraMissingError(**WORDS, module="openvino", extra="fast")
    assert error.as_record()["facts"] == {"module": "openvino", "extra": "fast"}
