import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import IntegrityError, MissingError
from mien.core.records import read_csv, read_jsonl, to_json_line, to_plain, write_jsonl

SCHEMA = "mien.toy/1"
ROWS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.float16, np.array])
def test_what_json_cannot_hold_becomes_null(value: float, kind) -> None:
    assert to_json_line({"score": kind(value)}) == '{"score": null}'


def test_numpy_is_unpacked_at_every_depth() -> None:
    row = {
        "box": np.array([[1.0, np.nan], [np.inf, 4.0]], np.float32),
        "count": np.int64(3),
        "same": np.bool_(True),
        "deep": ({"ids": np.arange(2)}, [np.float32(0.5)]),
        7: None,
    }
    plain = {
        "box": [[1.0, None], [None, 4.0]],
        "count": 3,
        "same": True,
        "deep": [{"ids": [0, 1]}, [0.5]],
        "7": None,
    }
    assert to_plain(row) == plain
    assert json.loads(to_json_line(row)) == plain


@given(ROWS)
def test_a_record_is_one_line_and_comes_back(row) -> None:
    line = to_json_line(row)
    assert "\n" not in line
    assert json.loads(line) == {k: to_plain(v) for k, v in row.items()}


def test_rows_come_back_from_a_file_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"name": "Zoë\u2028\r\n"}, {}, {"n": 2}]
    assert write_jsonl(path, iter(rows), schema=SCHEMA) == 3
    assert list(read_jsonl(path, schema=SCHEMA)) == rows
    assert path.read_bytes().startswith(b'{"schema": "mien.toy/1"}\n')


def test_a_file_without_rows_still_names_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, [], schema=SCHEMA) == 0
    assert list(read_jsonl(path, schema=SCHEMA)) == []
    with pytest.raises(IntegrityError, match=r"'mien[.]toy/1'; 'mien[.]toy/2' is expected"):
        list(read_jsonl(path, schema="mien.toy/2"))


def test_a_first_line_without_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": 1}\n')
    with pytest.raises(IntegrityError, match=r"rows\.jsonl has the schema None"):
        list(read_jsonl(path, schema=SCHEMA))


@pytest.mark.parametrize("content", [b"", b"[1]\n", b'"mien.toy/1"\n', b"\n"])
def test_a_file_that_begins_otherwise_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"line 1 of .*rows\.jsonl is not a JSON object"):
        list(read_jsonl(path, schema=SCHEMA))


def test_a_file_cut_off_anywhere_inside_a_line_is_noticed_at_that_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"a": 1}, {"name": "Zoë", "score": 12}], schema=SCHEMA)
    whole = path.read_bytes()
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for end in range(second + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        rows = read_jsonl(path, schema=SCHEMA)
        assert next(rows) == {"a": 1}
        with pytest.raises(IntegrityError, match=r"line 3 of .*cut off or edited; make the file"):
            next(rows)


def test_a_failing_source_of_rows_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"old": 1}], schema=SCHEMA)

    def rows():
        yield {"new": 1}
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        write_jsonl(path, rows(), schema=SCHEMA)
    assert list(read_jsonl(path, schema=SCHEMA)) == [{"old": 1}]


def test_a_table_of_a_user_is_read_by_its_columns(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,ü\n2\n", encoding="utf-8")
    rows = read_csv(tmp_path / "t.csv", why="for a test", columns="a,b")
    assert rows == [{"a": "1", "b": "ü"}, {"a": "2", "b": None}]


def test_a_table_that_cannot_be_read_says_what_it_is_for(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("t.csv", "absent.csv"):
        with pytest.raises(MissingError, match=f"{name} cannot be read .*; for a test; .* a,b"):
            read_csv(tmp_path / name, why="for a test", columns="a,b")
