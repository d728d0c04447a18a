import json
import stat
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, IntegrityError, MissingError, RangeError, ShapeError
from mien.gallery import _shortlist, search
from mien.gallery.search import (
    Float32Search,
    Int8FileSearch,
    Int8Search,
    open_search,
    write_codes,
)


class FromFile(Int8FileSearch):
    """Codes written to a file, and mapped."""

    def __init__(self, rows):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "codes"
            write_codes(rows, path)
            super().__init__(rows, path)


KINDS = [Float32Search, Int8Search, FromFile]
both = pytest.mark.parametrize("kind", KINDS)
quickly = settings(max_examples=120, deadline=None)


def unit(vectors):
    vectors = np.asarray(vectors, np.float64)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def random_rows(n, d, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((n, d)))


def clustered_rows(people, each, d=128, seed=0):
    """People far apart, their rows at a cosine of about 0.65 to one another."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(unit(rng.standard_normal((people, d))), each, axis=0)
    noise = rng.standard_normal((people * each, d)) / np.sqrt(d)
    return unit(centres * np.sqrt(0.65) + noise * np.sqrt(0.35))


def all_scores(rows, queries):
    return (queries.astype(np.float64) @ rows.astype(np.float64).T).astype(np.float32)


def nearest(rows, queries, k):
    """Sort everything."""
    scores = all_scores(rows, queries)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def nearest_people(rows, queries, k, groups):
    """Sort everything and walk down, one query at a time."""
    order, scores = nearest(rows, queries, len(rows))
    found = []
    for ranked, values in zip(order, scores, strict=True):
        people = {}
        for row, score in zip(ranked, values, strict=True):
            if groups[row] >= 0:
                people.setdefault(int(groups[row]), (int(groups[row]), int(row), float(score)))
        found.append(list(people.values())[:k])
    return found


def as_lists(people, rows, scores):
    return [
        list(zip(p.tolist(), r.tolist(), s.tolist(), strict=True))
        for p, r, s in zip(people, rows, scores, strict=True)
    ]


def assert_equal(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@contextmanager
def small_blocks():
    """Blocks of a few hundred rows and batches of three, so that small galleries have borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_FLOAT_SCORES", 3 * 512)
        patch.setattr(search, "_CODE_ROWS", 512)
        patch.setattr(search, "_CHECKED_AT_ONCE", 100)
        patch.setattr(search, "_SMALL_PRODUCT", 1000)
        patch.setattr(_shortlist, "_FIRST_ROWS", 256)
        patch.setattr(_shortlist, "_RESCORED_AT_ONCE", 7)
        for kind in KINDS:
            patch.setattr(kind, "queries_at_once", 3)
        yield


@st.composite
def galleries(draw):
    """Rows with many exact and nearly exact ties, queries among and beside them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(1, 900)), draw(st.sampled_from([1, 3, 16, 50]))
    seeds = rng.standard_normal((draw(st.integers(1, 40)), d))
    rows = seeds[rng.integers(0, len(seeds), n)]
    rows = rows + draw(st.sampled_from([0.0, 1e-7, 0.3])) * rng.standard_normal((n, d))
    queries = np.concatenate([seeds[:2], rng.standard_normal((draw(st.integers(0, 5)), d))])
    return unit(rows), unit(queries), rng


@both
@quickly
@given(galleries(), st.integers(1, 1000))
def test_result_equals_sorting_all_scores(kind, drawn, k):
    rows, queries, _ = drawn
    with small_blocks():
        found = kind(rows).search(queries, k)
    assert_equal(found, nearest(rows, queries, k))


@both
@quickly
@given(galleries(), st.integers(1, 60), st.integers(1, 50))
def test_people_equal_sorting_all_scores(kind, drawn, k, n_people):
    rows, queries, rng = drawn
    groups = rng.integers(-1, n_people, len(rows))
    with small_blocks():
        found = kind(rows).search_grouped(queries, k, groups)
    assert as_lists(*found) == nearest_people(rows, queries, k, groups)


@both
@pytest.mark.parametrize("n", [1, 2, 255, 256, 257, 511, 512, 513, 1025])
def test_the_last_row_of_a_block_is_searched_as_the_first(kind, n):
    rows = random_rows(n, 24)
    with small_blocks():
        found, scores = kind(rows).search(rows, 1)
    np.testing.assert_array_equal(found[:, 0], np.arange(n))
    np.testing.assert_allclose(scores, 1, atol=1e-6)


@pytest.mark.parametrize("n", [2**17 - 1, 2**17 + 1])
def test_real_blocks_have_no_seams(n):
    rows = random_rows(n, 8)
    queries = rows[[0, 4096, 2**16, n - 2, n - 1]]
    groups = np.arange(n) // 3
    for kind in KINDS:
        opened = kind(rows)
        assert_equal(opened.search(queries, 12), nearest(rows, queries, 12))
        found = opened.search_grouped(queries, 3, groups)
        assert as_lists(*found) == nearest_people(rows, queries, 3, groups)


@both
def test_equal_rows_come_in_order(kind):
    rows = np.repeat(random_rows(1, 16), 3000, axis=0)
    found, scores = kind(rows).search(rows[:2], 40)
    np.testing.assert_array_equal(found, [range(40)] * 2)
    assert len(np.unique(scores)) == 1


@both
def test_scores_do_not_depend_on_the_batch(kind):
    rows, queries = random_rows(5000, 128), random_rows(70, 128, seed=1)
    opened = kind(rows)
    alone = [opened.search(query[None], 10) for query in queries]
    together = opened.search(queries, 10)
    assert_equal(together, [np.concatenate(part) for part in zip(*alone, strict=True)])


@pytest.mark.parametrize(
    "rows", [random_rows(20_000, 128), clustered_rows(4000, 5)], ids=["random", "clustered"]
)
def test_codes_find_what_float32_finds_to_the_last_bit(rows):
    queries = unit(rows[:200] + random_rows(200, 128, seed=2))
    assert_equal(Int8Search(rows).search(queries, 10), Float32Search(rows).search(queries, 10))


def test_codes_made_coarse_by_outliers_still_find_the_best():
    axes = np.eye(128, dtype=np.float32)
    # Rows along an axis make the step of all codes 1/127, and have no error of their own.
    rows = np.concatenate([random_rows(3000, 128), np.tile(axes[64:], (16, 1))])
    pairs = unit(axes[:50] + axes[1:51])  # queries without an error of their own
    queries = np.concatenate([pairs, unit(rows[:50] + random_rows(50, 128, seed=3))])
    with small_blocks():
        found = Int8Search(rows).search(queries, 10)
    assert_equal(found, nearest(rows, queries, 10))


def test_two_products_of_codes_fit_in_16_bits():
    largest_query = search._QUERY_ZERO + search._QUERY_LEVELS
    assert search._QUERY_ZERO >= search._QUERY_LEVELS
    assert 2 * largest_query * search._ROW_LEVELS < 2**15


@both
def test_a_person_with_a_thousand_rows_leaves_room_for_others(kind):
    crowd = unit(random_rows(1, 64) + 0.02 * random_rows(1000, 64, seed=1))
    others = random_rows(9, 64, seed=2)
    rows = np.concatenate([others[:4], crowd, others[4:]])
    groups = np.concatenate([np.arange(4), np.full(1000, 4), np.arange(5, 10)])
    people, found, scores = kind(rows).search_grouped(crowd[:2], 10, groups)
    assert people.shape == (2, 10)
    np.testing.assert_array_equal(np.sort(people, axis=1), [range(10)] * 2)
    np.testing.assert_array_equal(people[:, 0], [4, 4])
    np.testing.assert_array_equal(found[:, 0], [4, 5])
    assert (np.diff(scores, axis=1) <= 0).all()


@both
def test_fewer_people_than_asked_for_are_all_returned(kind):
    rows = random_rows(300, 16)
    people, found, scores = kind(rows).search_grouped(rows[:3], 10, np.arange(300) % 4)
    assert people.shape == found.shape == scores.shape == (3, 4)


@both
def test_rows_of_nobody_are_never_returned(kind):
    rows = random_rows(600, 16)
    groups = np.where(np.arange(600) % 2, np.arange(600), -1)
    people, found, _ = kind(rows).search_grouped(rows[:5], 1000, groups)
    assert people.shape == (5, 300)
    assert (found % 2 == 1).all()
    assert kind(rows).search_grouped(rows[:5], 3, np.full(600, -1))[1].shape == (5, 0)


@both
def test_an_empty_gallery_gives_no_results(kind):
    opened = kind(np.empty((0, 8), np.float32))
    found, scores = opened.search(random_rows(3, 8), 5)
    assert (found.shape, scores.shape) == ((3, 0), (3, 0))
    assert (found.dtype, scores.dtype) == (np.int64, np.float32)
    grouped = opened.search_grouped(random_rows(3, 8), 5, np.empty(0, np.int64))
    assert [part.shape for part in grouped] == [(3, 0)] * 3


@both
def test_no_query_gives_no_results(kind):
    found, scores = kind(random_rows(4, 8)).search(np.empty((0, 8), np.float32), 2)
    assert (found.shape, scores.shape) == ((0, 2), (0, 2))


@both
def test_a_gallery_of_one_has_one_result(kind):
    row = random_rows(1, 8)
    found, scores = kind(row).search(-row, 5)
    assert found.tolist() == [[0]]
    assert scores == pytest.approx(-1, abs=1e-6)


@both
def test_a_read_only_map_is_searched_in_place(kind, tmp_path):
    rows, queries = random_rows(3000, 32), random_rows(4, 32, seed=1)
    rows.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", np.float32, "r", shape=rows.shape)
    opened = kind(mapped)
    assert np.shares_memory(opened.rows, mapped)
    assert_equal(opened.search(queries, 7), nearest(rows, queries, 7))


@both
def test_rows_need_not_lie_side_by_side(kind):
    wide = np.repeat(random_rows(2000, 32), 2, axis=0)
    queries = random_rows(3, 32, seed=1)
    for rows in (wide[::2], wide[::-2], np.asfortranarray(wide[::2])):
        assert_equal(kind(rows).search(queries, 5), nearest(rows, queries, 5))


@both
def test_memory_is_bounded_whatever_the_size(kind):
    rows, queries = random_rows(200_000, 4), random_rows(200, 4, seed=1)
    opened = kind(rows)
    tracemalloc.start()
    opened.search(queries, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 4 * search.SCORES_AT_ONCE  # all scores at once would take 160 MB


@both
def test_several_threads_may_search_at_once(kind):
    rows, queries = random_rows(3000, 64), random_rows(40, 64, seed=1)
    opened = kind(rows)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda q: opened.search(q[None], 5), queries))
    assert_equal(
        [np.concatenate(part) for part in zip(*found, strict=True)], nearest(rows, queries, 5)
    )


def test_precision_chooses_the_way():
    rows = random_rows(5, 8)
    assert isinstance(open_search(rows), Float32Search)
    assert isinstance(open_search(rows, "int8"), Int8Search)
    with pytest.raises(ConfigError, match=r"precision is 'int4'.*'float32' or 'int8'"):
        open_search(rows, "int4")


@pytest.fixture
def written(tmp_path):
    """Rows, the file of their codes, and its bytes."""
    rows, path = random_rows(700, 16), tmp_path / "codes"
    with small_blocks():
        write_codes(rows, path)
    return rows, path, path.read_bytes()


def test_a_file_of_codes_is_a_quarter_of_its_rows_and_private(tmp_path):
    rows = random_rows(4096, 64)
    write_codes(rows, tmp_path / "codes")
    assert (tmp_path / "codes").stat().st_size == 4096 + rows.nbytes // 4
    assert stat.S_IMODE((tmp_path / "codes").stat().st_mode) == 0o600


def test_codes_in_a_file_are_those_in_memory(written):
    rows, path, _ = written
    with small_blocks():
        in_memory = Int8Search(rows)
    in_file = Int8FileSearch(rows, path)
    assert (in_file._step, in_file._error) == (in_memory._step, in_memory._error)
    assert_equal(in_file.search(rows[:9], 5), in_memory.search(rows[:9], 5))


def test_codes_of_other_rows_are_refused(written):
    rows, path, _ = written
    for other in (rows[1:], rows[::-1], random_rows(700, 16, seed=1), random_rows(700, 8)):
        with pytest.raises(IntegrityError, match="codes are of other rows.*make it again"):
            Int8FileSearch(other, path)


def changed(data, **changes):
    """The file with another header."""
    header = json.loads(data[11:4096].rstrip(b"\0")) | changes
    return (data[:11] + json.dumps(header).encode()).ljust(4096, b"\0") + data[4096:]


def test_damaged_files_of_codes_are_refused(written):
    rows, path, data = written
    wrong = [{"rows": -1}, {"rows": 700.0}, {"dim": 0}, {"block_rows": 0}, {"step": 0}, {"x": 1}]
    wrong += [{"step": float("nan")}, {"error": float("inf")}, {"error": "1"}, {"block_rows": 1}]
    files = [data[:-1], data + b"\0", data[:4096], data[:50], b"x" * 5000]
    for file in [*files, *(changed(data, **one) for one in wrong)]:
        path.write_bytes(file)
        with pytest.raises(IntegrityError, match="not the file of codes.*write_codes"):
            Int8FileSearch(rows, path)
    path.write_bytes(changed(data))
    assert Int8FileSearch(rows, path).search(rows[:1], 1)[0].tolist() == [[0]]


def test_a_missing_file_of_codes_is_named(tmp_path):
    (tmp_path / "empty").touch()
    for path in (tmp_path / "absent", tmp_path / "empty", tmp_path):
        with pytest.raises(MissingError, match="cannot be read.*write_codes"):
            Int8FileSearch(random_rows(5, 8), path)


@both
@pytest.mark.parametrize(
    "rows",
    [np.ones(8, np.float32), np.eye(8), np.eye(8, dtype=">f4"), np.empty((3, 0), np.float32)],
    ids=["one axis", "float64", "foreign bytes", "no numbers"],
)
def test_rows_of_another_kind_are_refused(kind, rows):
    with pytest.raises(ShapeError, match=r"array of rows has shape .* type .*\(n, d\)"):
        kind(rows)


@both
@pytest.mark.parametrize(("value", "length"), [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0")])
def test_a_row_that_is_no_template_is_named(kind, value, length):
    rows = random_rows(40_000, 8)
    rows[33_333] = value
    with pytest.raises(RangeError, match=rf"row 33333 has length {length}; .*length 1"):
        kind(rows)


@both
def test_queries_that_cannot_be_compared_are_refused(kind):
    opened = kind(random_rows(5, 8))
    good = random_rows(2, 8)
    with pytest.raises(ShapeError, match=r"queries has shape \(2, 4\).*hold 8 numbers"):
        opened.search(good[:, :4], 1)
    with pytest.raises(ShapeError, match=r"querys? .*float64.*float32"):
        opened.search(good.astype(np.float64), 1)
    with pytest.raises(ShapeError, match=r"shape \(8,\)"):
        opened.search(good[0], 1)
    with pytest.raises(RangeError, match=r"query 1 has length nan.*finite"):
        opened.search(good * np.array([[1], [np.nan]], np.float32), 1)
    with pytest.raises(RangeError, match=r"query 0 has length 2.*length 1"):
        opened.search(2 * good, 1)
    with pytest.raises(RangeError, match=r"k is 0.*1 or more"):
        opened.search(good, 0)


@both
def test_groups_that_do_not_fit_are_refused(kind):
    opened = kind(random_rows(5, 8))
    with pytest.raises(ShapeError, match=r"groups have shape \(4,\).*each of 5 rows"):
        opened.search_grouped(random_rows(1, 8), 1, np.arange(4))
    with pytest.raises(ShapeError, match=r"type float64.*int64"):
        opened.search_grouped(random_rows(1, 8), 1, np.arange(5.0))
