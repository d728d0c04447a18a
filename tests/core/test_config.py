import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.config import from_mapping, load_config, to_mapping
from mien.core.errors import ConfigError, RangeError


@dataclass(frozen=True)
class Inner:
    width: int
    rate: float = 0.5

    def __post_init__(self) -> None:
        if self.width < 0:
            raise RangeError(what=f"width is {self.width}", why="it must be 0 or more", mend="…")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    is_on: bool = True
    mode: Literal["slow", "fast", 1] = "slow"
    threads: int | None = 1
    note: str | None = None
    size: tuple[int, float] = (1, 2.0)
    layers: tuple[Inner, ...] = ()
    table: Mapping[str, Inner] = field(default_factory=dict)
    limit: int | str = 0
    place: Path = Path("here")
    free: Any = None


TEXT = st.text(max_size=8)
INNER = st.builds(Inner, width=st.integers(0, 2**53), rate=st.floats(allow_nan=False))
OUTER = st.builds(
    Outer,
    name=TEXT,
    inner=INNER,
    is_on=st.booleans(),
    mode=st.sampled_from(["slow", "fast", 1]),
    threads=st.none() | st.integers(),
    note=st.none() | TEXT,
    size=st.tuples(st.integers(), st.floats(allow_nan=False)),
    layers=st.lists(INNER, max_size=3).map(tuple),
    table=st.dictionaries(TEXT, INNER, max_size=3),
    limit=st.integers() | TEXT,
    place=st.sampled_from([Path("a/b"), Path("/c")]),
    free=st.none() | st.integers() | st.lists(TEXT, max_size=2),
)


def minimal(**more: object) -> dict[str, Any]:
    return {"name": "n", "inner": {"width": 3}, **more}


@given(OUTER)
def test_a_config_comes_back_from_its_mapping(config: Outer) -> None:
    assert from_mapping(Outer, to_mapping(config)) == config


@given(OUTER)
def test_a_config_comes_back_from_json(config: Outer) -> None:
    text = json.dumps(to_mapping(config))
    assert from_mapping(Outer, json.loads(text)) == config


def test_none_is_left_out_only_where_it_is_the_default() -> None:
    plain = to_mapping(Outer("n", Inner(3), threads=None, note=None))
    assert plain["threads"] is None
    assert "note" not in plain


def test_defaults_fill_what_is_left_out() -> None:
    assert from_mapping(Outer, minimal()) == Outer("n", Inner(3))


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "Zoë"\nmode = 1\nsize = [4, 5]\nlayers = [{width = 1}, {width = 2, rate = 1}]\n'
        "[inner]\nwidth = 3\n[table.left]\nwidth = 9\n",
        encoding="utf-8",
    )
    config = load_config(Outer, path)
    expected = Outer(
        "Zoë",
        Inner(3),
        mode=1,
        size=(4, 5.0),
        layers=(Inner(1), Inner(2, 1.0)),
        table={"left": Inner(9)},
    )
    assert config == expected
    assert isinstance(config.size[1], float)


def test_a_json_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(minimal(note=None, place="a/b")))
    assert load_config(Outer, path) == Outer("n", Inner(3), place=Path("a/b"))


@pytest.mark.parametrize(
    ("values", "path", "why"),
    [
        (minimal(nam="x"), "nam", "Outer has the keys name, inner"),
        (minimal(inner={"width": 3, "w": 1}), "inner.w", "inner has the keys width, rate"),
        (minimal(layers=[{"width": 1}, {"wide": 1}]), r"layers\[1\].wide", r"layers\[1\] has the"),
        (minimal(table={"left": {"wide": 1}}), "table.left.wide", "table.left has the keys"),
    ],
)
def test_an_unknown_key_is_named_with_its_path(values, path: str, why: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown key '{path}'; {why}.*correct the spelling"):
        from_mapping(Outer, values)


@pytest.mark.parametrize(
    ("values", "path"),
    [({"inner": {"width": 3}}, "name"), ({"name": "n", "inner": {}}, "inner.width")],
)
def test_a_missing_key_is_named_with_its_path(values, path: str) -> None:
    with pytest.raises(ConfigError, match=rf"the key '{path}' is missing; it has no default"):
        from_mapping(Outer, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (minimal(name=3), "name is 3; it must be of type str"),
        (minimal(is_on=1), "is_on is 1; it must be of type bool"),
        (minimal(inner=[]), r"inner is \[\]; it must be a table"),
        (minimal(inner={"width": True}), "inner.width is True; it must be a whole number"),
        (minimal(inner={"width": 3.0}), r"inner.width is 3\.0; it must be a whole number"),
        (minimal(inner={"width": "3"}), "inner.width is '3'; it must be a whole number"),
        (minimal(inner={"width": 1, "rate": True}), "inner.rate is True; it must be a number"),
        (minimal(inner={"width": 1, "rate": None}), "inner.rate is None; it must be a number"),
        (minimal(mode="Fast"), "mode is 'Fast'; it must be one of 'slow', 'fast', 1"),
        (minimal(mode=True), "mode is True; it must be one of 'slow', 'fast', 1"),
        (minimal(mode=1.0), r"mode is 1\.0; it must be one of"),
        (minimal(threads="2"), "threads is '2'; it must be a whole number"),
        (minimal(threads=True), "threads is True; it must be a whole number"),
        (minimal(size=[1]), r"size is \[1\]; it must be a list of 2"),
        (minimal(size="12"), "size is '12'; it must be a list"),
        (minimal(size=[1, "x"]), r"size\[1\] is 'x'; it must be a number"),
        (minimal(layers=[{"width": None}]), r"layers\[0\].width is None; it must be a whole"),
        (minimal(table=[1]), r"table is \[1\]; it must be a table"),
        (minimal(table={"a": {"width": ""}}), "table.a.width is ''; it must be a whole number"),
        (minimal(limit=1.5), r"limit is 1\.5; it must be a whole number or of type str"),
        (minimal(limit=None), "limit is None; it must be a whole number or of type str"),
        (minimal(place=3), "place is 3; it must be a path"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_path(values, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        from_mapping(Outer, values)


def test_the_path_is_a_fact_of_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Outer, minimal(layers=[{"width": 1, "rate": "x"}]))
    assert caught.value.facts == {"path": "layers[0].rate"}


def test_a_fault_deep_inside_a_union_is_named_where_it_lies() -> None:
    @dataclass(frozen=True)
    class Choice:
        part: Inner | str

    assert from_mapping(Choice, {"part": "whole"}) == Choice("whole")
    with pytest.raises(ConfigError, match=r"part\.width is 'x'; it must be a whole number"):
        from_mapping(Choice, {"part": {"width": "x"}})


def test_the_checks_of_the_dataclass_itself_run() -> None:
    with pytest.raises(RangeError, match="width is -1"):
        from_mapping(Outer, minimal(inner={"width": -1}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"name = ", r"a\.toml cannot be read as a configuration \(Invalid value"),
        ("a.json", b"{", r"a\.json cannot be read.*it must be a TOML or JSON file"),
        ("a.json", b"[1]", r"a\.json holds a list; a configuration is a table.*JSON object"),
        ("a.toml", b"\xff", r"a\.toml cannot be read.*can't decode byte 0xff"),
    ],
)
def test_a_file_that_does_not_parse_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(Outer, tmp_path / name)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read.*No such file"):
        load_config(Outer, tmp_path / "none.toml")
