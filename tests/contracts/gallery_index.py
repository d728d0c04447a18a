"""What every `GalleryIndex` must do. A back end's test module imports `GalleryIndexContract`.

The subclass gives ``make(tmp_path)``: a store that is created, empty, for the contract ``toy`` and
templates of 16 numbers.
"""

import threading
from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import ConflictError, IdentityMissingError, RangeError, ShapeError
from mien.gallery.index import Count, Template

DIM = 16


def unit(seed: int, dim: int = DIM) -> np.ndarray:
    """A direction that depends on the seed only."""
    vector = np.random.default_rng(seed).normal(size=dim)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def template(face_id: str, person: str, vector: np.ndarray) -> Template:
    return Template(
        face_id=face_id,
        person=person,
        vector=vector,
        quality=77.5,
        source=f"{face_id}.jpg",
        digest=f"{abs(hash(face_id)):064x}"[:64],
        box=(1.0, 2.0, 30.0, 40.5),
        consent="signed 2026-11-01",
        enrolled_at="2026-11-24T10:00:00+00:00",
    )


def crowd(count: int, per_person: int = 1) -> list[Template]:
    return [template(f"f{k}", f"person {k // per_person}", unit(k)) for k in range(count)]


class GalleryIndexContract:
    """One body of checks for all back ends."""

    def make(self, tmp_path):
        raise NotImplementedError

    @pytest.fixture
    def index(self, tmp_path):
        store = self.make(tmp_path)
        yield store
        store.close()

    def test_a_new_store_is_empty(self, index):
        assert index.count() == Count(0, 0)
        assert index.search(unit(1)[None], 5) == [[]]
        assert index.search_grouped(unit(1)[None], 5) == [[]]
        assert list(index.iterate()) == []
        assert index.verify() == []

    def test_a_store_knows_its_contract(self, index):
        assert (index.contract, index.dim) == ("toy", DIM)

    def test_creating_it_twice_is_refused(self, index):
        with pytest.raises(ConflictError, match=r"exists; .*overwrite it; choose another"):
            index.create("toy", DIM)

    def test_what_goes_in_comes_out(self, index):
        index.upsert(crowd(3))
        for k, found in enumerate(index.get(["f0", "f1", "f2"])):
            wanted = crowd(3)[k]
            assert np.array_equal(found.vector, wanted.vector)
            assert found.box == wanted.box
            assert found.consent == wanted.consent
            assert (found.person, found.source, found.digest, found.quality, found.enrolled_at) == (
                wanted.person,
                wanted.source,
                wanted.digest,
                wanted.quality,
                wanted.enrolled_at,
            )

    def test_the_day_of_deletion_comes_back(self, index):
        index.upsert([replace(crowd(1)[0], retain_until="2027-01-31")])
        assert index.get(["f0"])[0].retain_until == "2027-01-31"
        assert next(index.iterate()).retain_until == "2027-01-31"

    @pytest.mark.parametrize(
        "name",
        ["O'Brien", 'a "b" c', "back\\slash", "100 %s %", "Zoë 李 \u200d🙂", "x') OR 1=1 --"],
    )
    def test_names_are_only_ever_text(self, index, name):
        index.upsert([*crowd(2), template(f"id {name}", name, unit(7))])
        assert [one.person for one in index.iterate(name)] == [name]
        assert index.get([f"id {name}"])[0].person == name
        assert index.search(unit(7)[None], 1)[0][0].person == name
        assert index.delete([f"id {name}"]) == 1
        assert index.count() == Count(2, 2)

    def test_count_tells_faces_from_people(self, index):
        index.upsert(crowd(6, per_person=3))
        assert index.count() == Count(6, 2)

    def test_search_equals_a_literal_search(self, index):
        people = crowd(60)
        index.upsert(people)
        matrix = np.stack([one.vector for one in people]).astype(np.float64)
        for seed in (100, 101, 102):
            query = unit(seed)
            truth = np.argsort(-(matrix @ query))[:7]
            hits = index.search(query[None], 7)[0]
            assert [hit.face_id for hit in hits] == [f"f{k}" for k in truth]
            assert np.allclose([hit.score for hit in hits], (matrix @ query)[truth], atol=1e-6)

    def test_search_takes_several_queries(self, index):
        index.upsert(crowd(20))
        queries = np.stack([unit(3), unit(8)])
        hits = index.search(queries, 1)
        assert [found[0].face_id for found in hits] == ["f3", "f8"]

    def test_more_asked_for_than_there_is(self, index):
        index.upsert(crowd(3))
        assert len(index.search(unit(1)[None], 50)[0]) == 3
        assert len(index.search_grouped(unit(1)[None], 50)[0]) == 3

    def test_grouped_search_gives_each_person_once(self, index):
        rows = [template(f"a{k}", "ann", unit(1) if k else unit(2)) for k in range(30)]
        index.upsert([*rows, template("b", "bob", unit(3)), template("c", "cyd", unit(4))])
        hits = index.search_grouped(unit(1)[None], 3)[0]
        assert hits[0].person == "ann"
        assert sorted(hit.person for hit in hits) == ["ann", "bob", "cyd"]
        assert hits[0].score == pytest.approx(1, abs=1e-6)
        assert hits[0].face_id == "a1"

    def test_grouped_search_equals_a_literal_one(self, index):
        rows = crowd(90, per_person=9)
        index.upsert(rows)
        matrix = np.stack([one.vector for one in rows]).astype(np.float64)
        for seed in (200, 201):
            scores = matrix @ unit(seed)
            best = sorted((scores[9 * p : 9 * p + 9].max(), p) for p in range(10))[::-1][:4]
            hits = index.search_grouped(unit(seed)[None], 4)[0]
            assert [hit.person for hit in hits] == [f"person {p}" for _, p in best]
            assert np.allclose([hit.score for hit in hits], [s for s, _ in best], atol=1e-6)

    def test_equals_come_in_order_of_enrolment(self, index):
        index.upsert([template(f"a{k}", f"p{k // 2}", unit(1)) for k in (7, 3, 5, 1, 4, 2, 6, 0)])
        index.upsert([template(f"b{k:02d}", f"q{k}", unit(1)) for k in range(40)])
        assert [h.face_id for h in index.search(unit(1)[None], 3)[0]] == ["a7", "a3", "a5"]
        people = index.search_grouped(unit(1)[None], 5)[0]
        assert [h.face_id for h in people] == ["a7", "a3", "a5", "a1", "b00"]

    def test_upsert_replaces_by_face_id(self, index):
        index.upsert(crowd(5))
        index.upsert([template("f2", "somebody else", unit(99))])
        assert index.count() == Count(5, 5)
        assert index.search(unit(99)[None], 1)[0][0].face_id == "f2"
        assert index.get(["f2"])[0].person == "somebody else"
        assert index.search(unit(2)[None], 1)[0][0].score < 0.99
        assert index.verify() == []

    def test_a_template_given_twice_in_one_call_counts_once(self, index):
        with pytest.raises(ConflictError, match="given twice"):
            index.upsert([template("x", "ann", unit(1)), template("x", "bob", unit(2))])
        assert index.count() == Count(0, 0)

    def test_deleted_templates_are_never_found_again(self, index):
        index.upsert(crowd(10))
        assert index.delete(["f3", "f4", "nobody"]) == 2
        assert index.count() == Count(8, 8)
        for k in (3, 4):
            assert index.search(unit(k)[None], 10)[0][0].face_id != f"f{k}"
            with pytest.raises(IdentityMissingError, match=f"no face 'f{k}'"):
                index.get([f"f{k}"])
        assert index.verify() == []

    def test_insert_after_delete_is_found(self, index):
        index.upsert(crowd(4))
        index.search(unit(0)[None], 1)
        index.delete(["f3"])
        index.upsert([template("new", "eve", unit(50))])
        assert index.search(unit(50)[None], 1)[0][0].face_id == "new"

    def test_iteration_follows_enrolment(self, index):
        index.upsert(crowd(5, per_person=2))
        assert [one.face_id for one in index.iterate()] == [f"f{k}" for k in range(5)]
        assert [one.face_id for one in index.iterate("person 1")] == ["f2", "f3"]
        assert list(index.iterate("nobody")) == []

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_templates_that_are_not_finite_are_refused_whole(self, index, bad):
        vector = unit(1)
        vector[3] = bad
        with pytest.raises(RangeError, match="templates are finite and of length 1"):
            index.upsert([template("good", "ann", unit(2)), template("bad", "bob", vector)])
        assert index.count() == Count(0, 0)

    def test_templates_of_another_length_are_refused(self, index):
        with pytest.raises(ShapeError, match=r"shape \(8,\); this gallery holds templates of 16"):
            index.upsert([template("bad", "bob", unit(1, 8))])
        with pytest.raises(RangeError, match="template has length 2"):
            index.upsert([template("long", "bob", 2 * unit(1))])

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            (np.full((1, DIM), np.nan, np.float32), "finite"),
            (np.zeros((1, 8), np.float32), "8"),
            (np.ones((1, DIM), np.float32), "length"),
        ],
    )
    def test_queries_that_cannot_be_compared_are_refused(self, index, query, words):
        index.upsert(crowd(3))
        with pytest.raises((RangeError, ShapeError), match=words):
            index.search(query, 1)
        with pytest.raises((RangeError, ShapeError), match=words):
            index.search_grouped(query, 1)

    def test_threads_may_search_while_one_enrols(self, index):
        index.upsert(crowd(50))
        wrong: list[str] = []

        def look():
            for k in range(30):
                found = index.search(unit(k)[None], 1)[0][0].face_id
                if found != f"f{k}":
                    wrong.append(found)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for k in range(1000, 1020):
            index.upsert([template(f"g{k}", "late", unit(k))])
        for thread in threads:
            thread.join()
        assert wrong == []
        assert index.count().faces == 70

    def test_threads_may_enrol_at_once(self, index):
        def enrol(start):
            for k in range(start, start + 5):
                index.upsert([template(f"f{2 * k + j}", f"p{k}", unit(2 * k + j)) for j in (0, 1)])

        threads = [threading.Thread(target=enrol, args=(5 * t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert index.count() == Count(40, 20)
        order = [one.face_id for one in index.iterate()]
        assert all(order.index(f"f{2 * k + 1}") == order.index(f"f{2 * k}") + 1 for k in range(20))
        assert index.verify() == []
