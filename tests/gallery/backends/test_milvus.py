"""Milvus Lite, really started: the common contract, and what only Milvus can suffer."""

import itertools
import stat
import subprocess
import sys

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
from mien.gallery.backends import _ranking
from mien.gallery.backends import milvus as module
from mien.gallery.backends.milvus import MilvusIndex
from mien.gallery.index import Count
from references.nearest import best_faces, best_people, draw_crowd

_NAMES = (f"faces_{number}" for number in itertools.count())


@pytest.fixture
def make(lite):
    """Makes stores that are closed at the end."""
    made = []

    def make_one(*, dim=DIM, **options):
        index = MilvusIndex(str(lite), next(_NAMES), **options)
        made.append(index)
        index.create("toy", dim)
        return index

    yield make_one
    for index in made:
        index.close()


@pytest.fixture
def raw(lite):
    """Milvus's own client, to do what mien would not."""
    from pymilvus import MilvusClient

    keeper = MilvusIndex(str(lite), next(_NAMES))  # keeps the server up
    keeper.create("toy", DIM)
    client = MilvusClient(str(lite), dedicated=True)
    yield client
    client.close()
    keeper.close()


class TestMilvusIndex(GalleryIndexContract):
    @pytest.fixture(autouse=True)
    def take(self, lite):
        self.path = lite

    def make(self, tmp_path):
        index = MilvusIndex(str(self.path), next(_NAMES))
        index.create("toy", DIM)
        return index


class TestMilvusIndexHnsw(TestMilvusIndex):
    """Small stores are searched exactly even by the graph."""

    def make(self, tmp_path):
        index = MilvusIndex(str(self.path), next(_NAMES), ann="hnsw")
        index.create("toy", DIM)
        return index


class TestMilvusIndexInSmallPages(TestMilvusIndex):
    """Many pages, and a search that Milvus alone can never settle."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(module, "_PAGE", 3)
        monkeypatch.setattr(module, "_IDS", 2)
        monkeypatch.setattr(module, "_MOST", 20)
        monkeypatch.setattr(module, "_UNFLUSHED", 7)


def test_everything_is_there_after_opening_again(tmp_path):
    path = tmp_path / "faces.db"
    index = MilvusIndex(str(path), "faces")
    index.create("toy", DIM)
    index.upsert(crowd(20))
    index.close()
    again = MilvusIndex(str(path), "faces")
    again.open()
    assert (again.contract, again.dim, again.ann) == ("toy", DIM, None)
    assert again.count() == Count(20, 20)
    assert again.search(unit(7)[None], 1)[0][0].face_id == "f7"
    again.upsert([template("late", "late", unit(99))])
    assert [one.face_id for one in again.iterate()][-2:] == ["f19", "late"]
    assert again.verify() == []
    again.close()


def test_only_the_owner_can_read_the_folder(tmp_path):
    path = tmp_path / "faces.db"
    index = MilvusIndex(str(path), "faces")
    index.create("toy", DIM)
    index.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_another_program_is_told_that_the_folder_is_in_use(tmp_path):
    path = tmp_path / "faces.db"
    index = MilvusIndex(str(path), "faces")
    index.create("toy", DIM)
    program = (
        "from mien.gallery.backends.milvus import MilvusIndex\n"
        "from mien.core.errors import StorageError\n"
        f"index = MilvusIndex({str(path)!r}, 'faces')\n"
        "try:\n    index.open()\nexcept StorageError as err:\n    print(err)\n"
        "else:\n    print(index.contract)\n"
    )

    def run():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "another program has it open" in run()
    index.close()
    assert run() == "toy\n"


def test_a_store_that_is_not_there_is_missing_and_not_made(tmp_path, make, lite):
    with pytest.raises(MissingError, match=r"no gallery at .*faces.db#faces; none was made"):
        MilvusIndex(str(tmp_path / "faces.db"), "faces").open()
    assert not (tmp_path / "faces.db").exists()
    make()
    with pytest.raises(MissingError, match="no gallery at"):
        MilvusIndex(str(lite), "nowhere").open()


def test_a_collection_of_somebody_else_is_refused(raw, lite):
    name = next(_NAMES)
    raw.create_collection(name, dimension=DIM)
    with pytest.raises(IntegrityError, match="not a gallery of this version of mien"):
        MilvusIndex(str(lite), name).open()


def test_a_file_where_the_folder_should_be_is_left_alone(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(b"of an older version")
    with pytest.raises(StorageError, match="is a file; this version of Milvus Lite"):
        MilvusIndex(str(path), "faces").create("toy", DIM)
    assert path.read_bytes() == b"of an older version"


def test_a_dropped_collection_is_missing(make, raw):
    index = make()
    raw.drop_collection(index.collection)
    with pytest.raises(MissingError, match="none was made there, or it was dropped"):
        index.count()


@pytest.mark.parametrize("name", ["", "a b", "x;drop", "1st", "ä", "a" * 49, "a-b", "a\n"])
def test_names_that_need_quoting_are_refused(name):
    with pytest.raises(ConfigError, match="letters a-z, digits and underscores"):
        MilvusIndex("faces.db", name)


def test_a_closed_store_says_so(make):
    index = make()
    index.close()
    index.close()
    for use in (index.count, index.verify, lambda: index.get(["a"]), lambda: list(index.iterate())):
        with pytest.raises(InternalError, match=r"closed; .*open it again"):
            use()
    index.open()
    assert index.count() == Count(0, 0)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("person", "tab\there", "control characters"),
        ("face_id", "\x00", "control characters"),
        ("consent", "c" * 8193, "8193 bytes, and 8192 are kept"),
        ("source", "\ud800", "not Unicode text"),
    ],
)
def test_texts_that_would_not_come_back_are_refused_whole(make, field, value, words):
    from dataclasses import replace

    index = make()
    with pytest.raises(RangeError, match=words):
        index.upsert([template("good", "ann", unit(1)), replace(crowd(1)[0], **{field: value})])
    assert index.count() == Count(0, 0)


def test_a_call_that_needs_more_than_one_request_is_refused(make, monkeypatch):
    index = make()
    monkeypatch.setattr(module, "_REQUEST_BYTES", 2000)
    with pytest.raises(RangeError, match=r"5 templates are .*in several calls"):
        index.upsert(crowd(5))
    assert index.count() == Count(0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person": "somebody else"}, "record of face f2 is not as it was written"),
        ({"vector": unit(77)}, "record of face f2 is not as it was written"),
        ({"vector": 3 * unit(2)}, "template of face f2 is damaged"),
        ({"number": 2}, "face f2 has the same number as another"),
    ],
)
def test_verify_finds_what_was_changed_behind_its_back(make, raw, change, words):
    index = make()
    index.upsert(crowd(5))
    (row,) = raw.query(index.collection, filter='face_id == "f2"', output_fields=["*"])
    raw.upsert(index.collection, [dict(row) | change])
    assert index.verify() == [words] or words in index.verify()[0]


def test_two_objects_share_one_folder(make, lite):
    one = make()
    two = MilvusIndex(str(lite), one.collection)
    two.open()
    assert two.count() == Count(0, 0)
    one.upsert(crowd(3))
    assert two.count() == Count(3, 3)
    two.upsert([template("g", "g", unit(50))])
    one.upsert([template("h", "h", unit(51))])
    assert [t.face_id for t in one.iterate()] == ["f0", "f1", "f2", "g", "h"]
    two.close()
    assert one.count() == Count(5, 5)


def test_a_person_with_very_many_templates_hides_nobody(make):
    index = make()
    near = unit(1)
    many = []
    for k in range(300):
        vector = near + 0.01 * unit(k + 10)
        many.append(template(f"a{k}", "ann", vector / np.linalg.norm(vector)))
    index.upsert([*many, template("b", "bob", unit(3)), template("c", "cyd", unit(4))])
    hits = index.search_grouped(near[None], 3)[0]
    assert hits[0].person == "ann"
    assert {hit.person for hit in hits[1:]} == {"bob", "cyd"}


def test_a_server_that_is_not_there_is_named_without_its_password(capfd):
    index = MilvusIndex("http://ann:hunter2@127.0.0.1:9", "faces", timeout_s=0.5)
    with pytest.raises(StorageError, match=r"127.0.0.1:9#faces cannot be reached") as caught:
        index.open()
    assert "start it, or check host, port and token" in str(caught.value)
    cause, seen = caught.value, set()  # pymilvus raises errors from themselves
    while cause is not None and id(cause) not in seen:
        assert "hunter2" not in f"{cause!s}{cause!r}"
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    assert "hunter2" not in "".join(capfd.readouterr())


def test_a_server_that_went_away_is_a_storage_error(tmp_path):
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(tmp_path / "data"))
    index = MilvusIndex(f"http://127.0.0.1:{port}", "faces", timeout_s=1.0)
    index.create("toy", DIM)
    index.upsert(crowd(3))
    assert index.count() == Count(3, 3)
    assert index.search(unit(1)[None], 1)[0][0].face_id == "f1"
    server.stop(grace=0).wait()
    for use in (
        lambda: index.search(unit(1)[None], 1),
        lambda: index.upsert(crowd(1)),
        index.count,
    ):
        with pytest.raises(StorageError, match=r"cannot be used.*check the server and its log"):
            use()
    index.close()
    database.close()


@pytest.mark.parametrize("uri", ["ftp://host", "faces.sqlite", "http://", "http://h:notaport"])
def test_addresses_that_are_none_are_refused(uri):
    with pytest.raises(ConfigError, match="address of Milvus cannot be read"):
        MilvusIndex(uri, "faces")


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


def test_more_queries_than_go_at_once(make, monkeypatch):
    monkeypatch.setattr(_ranking, "_AT_ONCE", 3)
    index = make()
    index.upsert(crowd(10))
    hits = index.search(np.stack([unit(k) for k in range(10)]), 1)
    assert [found[0].face_id for found in hits] == [f"f{k}" for k in range(10)]
