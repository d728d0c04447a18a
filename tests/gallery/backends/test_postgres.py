"""PostgreSQL, really started: the common contract, and what only a server can suffer."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.gallery_index import DIM, GalleryIndexContract, crowd, template, unit
from mien.core.errors import (
    ConfigError,
    IntegrityError,
    InternalError,
    MissingError,
    RangeError,
    StorageError,
)
from mien.gallery.backends import postgres as module
from mien.gallery.backends.postgres import PostgresIndex
from mien.gallery.index import Count
from references.nearest import best_faces, best_people, draw_crowd

_NAMES = (f"Faces_{number}" for number in itertools.count())


@pytest.fixture
def make(postgres):
    """Makes stores that are closed at the end."""
    made = []

    def make_one(*, dim=DIM, table=None, **options):
        index = PostgresIndex(postgres.address, table or next(_NAMES), **options)
        made.append(index)
        index.create("toy", dim)
        return index

    yield make_one
    for index in made:
        index.close()


class TestPostgresIndex(GalleryIndexContract):
    @pytest.fixture(autouse=True)
    def take(self, postgres):
        self.address = postgres.address

    def make(self, tmp_path):
        index = PostgresIndex(self.address, next(_NAMES))
        index.create("toy", DIM)
        return index


class TestPostgresIndexHnsw(TestPostgresIndex):
    """The graph finds all there is in small stores, except which of many equals came first."""

    def test_equals_come_in_order_of_enrolment(self, index):
        index.upsert([template(f"a{k}", f"p{k}", unit(1)) for k in range(40)])
        hits = index.search(unit(1)[None], 3)[0]
        assert [hit.score for hit in hits] == [pytest.approx(1, abs=1e-6)] * 3

    def make(self, tmp_path):
        index = PostgresIndex(self.address, next(_NAMES), ann="hnsw")
        index.create("toy", DIM)
        return index


class TestPostgresIndexInSmallPages(TestPostgresIndex):
    """Many pages, and a search that the server alone can never settle."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(module, "_PAGE", 3)
        monkeypatch.setattr(module, "_MOST", 20)


def test_everything_is_there_after_opening_again(make, postgres):
    index = make()
    index.upsert(crowd(20))
    index.close()
    again = PostgresIndex(postgres.address, index.table)
    again.open()
    assert (again.contract, again.dim, again.ann) == ("toy", DIM, None)
    assert again.count() == Count(20, 20)
    assert again.search(unit(7)[None], 1)[0][0].face_id == "f7"
    assert again.verify() == []
    again.close()
    again.open()
    assert again.count() == Count(20, 20)
    again.close()


def test_a_store_that_is_not_there_is_missing(postgres):
    with pytest.raises(MissingError, match=r"no gallery at .*#nowhere; none was made"):
        PostgresIndex(postgres.address, "nowhere").open()


def test_a_table_of_somebody_else_is_refused(postgres):
    postgres.run("CREATE TABLE IF NOT EXISTS theirs (a int)")
    with pytest.raises(IntegrityError, match="not a gallery of this version of mien"):
        PostgresIndex(postgres.address, "theirs").open()


def test_a_database_without_vectors_is_told_what_to_run(postgres):
    postgres.run("CREATE DATABASE bare")
    index = PostgresIndex(postgres.address.replace("/postgres?", "/bare?"), "faces")
    with pytest.raises(StorageError, match=r"no type for vectors; .*: CREATE EXTENSION vector;"):
        index.create("toy", DIM)
    assert postgres.run("SELECT 1 FROM pg_class WHERE relname = 'faces'", database="bare") == []


def test_a_user_without_rights_is_told_which(make, postgres):
    index = make()
    postgres.run("CREATE USER guest")
    as_guest = postgres.address.replace("postgres@", "guest@")
    guest = PostgresIndex(as_guest, index.table)
    guest.open()
    with pytest.raises(StorageError, match="the user may not do this; grant SELECT, INSERT"):
        guest.upsert(crowd(1))
    guest.close()


@pytest.mark.parametrize("name", ["", "a b", 'x"; DROP', "1st", "ä", "a" * 49, "a.b", "a\n"])
def test_names_that_need_quoting_are_refused(name):
    with pytest.raises(ConfigError, match="letters a-z, digits and underscores"):
        PostgresIndex("postgresql://localhost/x", name)


def test_an_address_that_is_none_is_not_repeated():
    with pytest.raises(ConfigError, match="address of the PostgreSQL server") as caught:
        PostgresIndex("password=hunter2 oops", "faces")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("dim", "ann"), [(0, None), (16_001, None), (2001, "hnsw")])
def test_lengths_that_pgvector_does_not_take_are_refused(postgres, dim, ann):
    with pytest.raises(RangeError, match=f"templates have {dim} numbers; pgvector takes 1 to"):
        PostgresIndex(postgres.address, next(_NAMES), ann=ann).create("toy", dim)


def test_long_templates_are_kept_elsewhere_and_come_back(make):
    index = make(dim=2048)
    index.upsert([template("long", "ann", unit(1, 2048))])
    assert np.array_equal(index.get(["long"])[0].vector, unit(1, 2048))


def test_a_closed_store_says_so(make):
    index = make()
    index.close()
    index.close()
    for use in (index.count, index.verify, lambda: index.get(["a"]), lambda: list(index.iterate())):
        with pytest.raises(InternalError, match=r"closed; .*open it again"):
            use()


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path):
    address = f"postgresql://ann:hunter2@/faces?host={tmp_path}"
    with pytest.raises(StorageError, match=r"cannot be reached .*start it, or check") as caught:
        PostgresIndex(address, "faces").open()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)


def test_an_idle_connection_that_was_cut_is_made_again(make, postgres):
    index = make()
    index.upsert(crowd(3))
    postgres.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
    )
    assert index.count() == Count(3, 3)
    index.upsert([template("late", "late", unit(50))])
    assert index.count() == Count(4, 4)


def test_a_server_stopped_in_use_is_a_storage_error_and_found_again(make, postgres):
    index = make()
    index.upsert(crowd(3))
    seen = [next(index.iterate()).face_id]
    postgres.stop()
    try:
        for use in (
            index.count,
            lambda: index.search(unit(1)[None], 1),
            lambda: index.upsert([template("lost", "lost", unit(9))]),
        ):
            with pytest.raises(StorageError, match="cannot be reached .*the server does not run"):
                use()
    finally:
        postgres.start()
    assert seen == ["f0"]
    assert index.count() == Count(3, 3)
    assert index.verify() == []


def test_a_server_stopped_in_the_midst_of_a_change_leaves_nothing(make, postgres, monkeypatch):
    index = make()
    index.upsert(crowd(3))
    take_turn = index._take_turn

    def stop_after_turn(connection):
        take_turn(connection)
        postgres.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
        )

    monkeypatch.setattr(index, "_take_turn", stop_after_turn)
    with pytest.raises(StorageError, match="nothing of the change was stored"):
        index.upsert([template("f1", "changed", unit(60)), template("new", "new", unit(61))])
    monkeypatch.undo()
    assert index.count() == Count(3, 3)
    assert index.get(["f1"])[0].person == "person 1"


def test_a_connection_lost_while_committing_is_not_tried_again(make, postgres):
    index = make()
    tries = []

    def work(connection):
        tries.append(connection.info.backend_pid)
        postgres.run(f"SELECT pg_terminate_backend({tries[-1]}, 5000)")

    with pytest.raises(StorageError, match="lost while the change was being stored; repeat it"):
        index._connections.run(work)
    assert len(tries) == 1


def test_messages_do_not_quote_rows(make, postgres):
    index = make()
    postgres.run(f'ALTER TABLE "{index.table}" ADD CHECK (quality < 50)')
    with pytest.raises(StorageError, match="violates check constraint") as caught:
        index.upsert([template("f0", "Ann Secret", unit(1))])
    assert "Secret" not in str(caught.value)
    assert index.count() == Count(0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("SET person = 'somebody else'", "the record of face f2 is not as it was written"),
        ("SET retain_until = ''", ""),
        ("SET box = '{1,2,3}'", "the record of face f2 is not as it was written"),
        ("SET vector = -1 * 1.0 * vector", "the record of face f2 is not as it was written"),
        ("SET vector = vector + vector", "the template of face f2 is damaged"),
    ],
)
def test_verify_finds_what_was_changed_behind_its_back(make, postgres, change, words):
    index = make()
    index.upsert(crowd(5))
    negated = str([-float(v) for v in unit(2)])
    change = change.replace("-1 * 1.0 * vector", f"'{negated}'")
    postgres.run(f"UPDATE \"{index.table}\" {change} WHERE face_id = 'f2'")
    assert index.verify() == ([words] if words else [])


def test_a_graph_can_be_built_over_what_is_there(make, postgres):
    index = make()
    rows = crowd(300, per_person=3)
    index.upsert(rows)
    exact = index.search(unit(1000)[None], 5)
    index.build_graph()
    index.build_graph()
    again = PostgresIndex(postgres.address, index.table)
    again.open()
    for one in (index, again):
        assert one.ann == "hnsw"
        assert one.verify() == []
        assert one.search(unit(1000)[None], 5) == exact
        assert len(one.search_grouped(unit(1000)[None], 100)[0]) == 100
    again.close()
    words = f"SELECT 1 FROM pg_indexes WHERE tablename = '{index.table}' AND indexdef ~ 'hnsw'"
    assert len(postgres.run(words)) == 1


def test_verify_misses_the_graph_if_it_is_gone(make, postgres):
    index = make(ann="hnsw")
    index.upsert(crowd(5))
    assert index.verify() == []
    (name,) = postgres.run(
        f"SELECT indexname FROM pg_indexes WHERE tablename = '{index.table}' "
        "AND indexdef LIKE '%hnsw%'"
    )[0]
    postgres.run(f'DROP INDEX "{name}"')
    assert index.verify() == ["the graph for approximate search is missing or not valid"]


def test_exact_search_looks_at_every_row_whatever_indexes_there_are(make, postgres):
    index = make()
    index.upsert(crowd(200))
    postgres.run(f'CREATE INDEX ON "{index.table}" USING hnsw (vector vector_ip_ops)')
    words = "(vector <#> (SELECT vector FROM \"{0}\" WHERE face_id = 'f1'))"
    for plus, used in ((" + 0", False), ("", True)):
        order = words.format(index.table) + plus
        plan = postgres.run(
            "SET enable_seqscan = off",
            f'EXPLAIN SELECT face_id FROM "{index.table}" ORDER BY {order} LIMIT 5',
        )
        assert any("vector_idx" in line for (line,) in plan) is used


def test_two_programs_enrolling_at_once_both_get_through(make, postgres):
    one = make()
    two = PostgresIndex(postgres.address, one.table)
    two.open()
    threads = [
        threading.Thread(target=lambda i=i: [i.upsert(crowd(8)) for _ in range(6)])
        for i in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.count() == Count(8, 8)
    assert [row.face_id for row in two.iterate()] == [f"f{k}" for k in range(8)]
    assert two.verify() == []
    two.close()


def test_no_more_than_four_connections_are_open(make, postgres):
    index = make()
    index.upsert(crowd(20))
    threads = [
        threading.Thread(target=lambda: [index.search(unit(k)[None], 3) for k in range(10)])
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(index._connections._idle) <= 4


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6), size=st.integers(0, 60), k=st.integers(1, 12))
def test_hits_are_those_of_a_literal_search(make, seed, size, k):
    index = make(dim=4)
    rows, queries = draw_crowd(seed, size, dim=4)
    index.upsert(rows)
    assert index.search(queries, k) == best_faces(rows, queries, k)
    assert index.search_grouped(queries, k) == best_people(rows, queries, k)
    index.close()
