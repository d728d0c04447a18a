"""What is searched in memory, against a plain list of rows under random changes."""

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mien.gallery import _view as module
from mien.gallery._view import View
from toys.galleries import DIM, unit

POOL = [unit(seed) for seed in range(9)]  # few, so that rows and scores repeat
QUERIES = np.stack([POOL[0], unit(77), -POOL[3]])
PEOPLE = ["ann", "bob", "cyd", "dan"]

vectors = st.integers(0, len(POOL) - 1)
people = st.sampled_from(PEOPLE)
arrivals = st.lists(st.tuples(people, vectors), max_size=5)


class Reference:
    """Rows as a list, and searches spelled out."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, np.ndarray]] = {}

    def ranked(self, query: np.ndarray) -> list[tuple[float, int, str]]:
        wide = query.astype(np.float64)
        scores = [
            (float(np.float32(row.astype(np.float64) @ wide)), number, person)
            for number, (person, row) in self.rows.items()
        ]
        return sorted(scores, key=lambda one: (-one[0], one[1]))

    def best_rows(self, query: np.ndarray, k: int) -> list[tuple[float, int, str]]:
        return self.ranked(query)[:k]

    def best_people(self, query: np.ndarray, k: int) -> list[tuple[float, int, str]]:
        first: dict[str, tuple[float, int, str]] = {}
        for one in self.ranked(query):
            first.setdefault(one[2], one)
        return list(first.values())[:k]


class Machine(RuleBasedStateMachine):
    """Any order of loading, adding, removing and moving."""

    precision = "float32"

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "TAIL_ROWS", 6)
        self.patch.setattr(module, "_MAX_REMOVED", 2)
        self.view = View(DIM, self.precision)
        self.reference = Reference()
        self.next = 1

    def teardown(self) -> None:
        self.patch.undo()

    def arrive(self, new) -> list[tuple[int, str, np.ndarray]]:
        added = []
        for person, vector in new:
            added.append((self.next, person, POOL[vector]))
            self.next += 1 + vector % 2  # numbers may have gaps
        return added

    def chosen(self, data, most=4) -> list[int]:
        held = sorted(self.reference.rows)
        return (
            data.draw(st.lists(st.sampled_from(held), max_size=most, unique=True)) if held else []
        )

    @initialize(new=st.lists(st.tuples(people, vectors), max_size=12))
    def load(self, new) -> None:
        rows = self.arrive(new)
        matrix = np.stack([row for _, _, row in rows]) if rows else np.zeros((0, DIM), np.float32)
        self.view.load(np.array([n for n, _, _ in rows], np.int64), [p for _, p, _ in rows], matrix)
        self.reference.rows = {n: (p, row) for n, p, row in rows}

    @rule(new=arrivals, data=st.data())
    def change(self, new, data) -> None:
        """Everything at once; rows that have just come may be moved, and those that went too."""
        removed = self.chosen(data)
        added = self.arrive(new)
        may_move = sorted({*self.reference.rows, *(n for n, _, _ in added)})
        moved = data.draw(st.dictionaries(st.sampled_from(may_move), people)) if may_move else {}
        self.view.apply(added=added, removed=removed, moved=moved)
        for number in removed:
            del self.reference.rows[number]
        self.reference.rows |= {n: (p, row) for n, p, row in added}
        for number, person in moved.items():
            if number in self.reference.rows:
                self.reference.rows[number] = (person, self.reference.rows[number][1])

    @rule(new=arrivals)
    def add(self, new) -> None:
        added = self.arrive(new)
        self.view.apply(added=added)
        self.reference.rows |= {n: (p, row) for n, p, row in added}

    @rule(data=st.data())
    def remove(self, data) -> None:
        removed = self.chosen(data)
        self.view.apply(removed=removed)
        for number in removed:
            del self.reference.rows[number]

    @rule(number=st.integers(900, 999), person=people)
    def pass_over_what_is_not_there(self, number, person) -> None:
        self.view.apply(removed=[number], moved={number: person})

    @invariant()
    def holds_the_same_rows(self) -> None:
        names = {code: person for person, code in self.view.people().items()}
        numbers = self.view.numbers.tolist()
        assert numbers == sorted(self.reference.rows)
        assert [names[code] for code in self.view.groups.tolist()] == [
            self.reference.rows[n][0] for n in numbers
        ]
        for number, row in zip(numbers, self.view.rows, strict=True):
            assert np.array_equal(row, self.reference.rows[number][1])

    @invariant()
    def finds_the_same(self) -> None:
        names = {code: person for person, code in self.view.people().items()}
        for k in (1, 3, 50):
            for search, truth in (
                (self.view.search, self.reference.best_rows),
                (self.view.search_grouped, self.reference.best_people),
            ):
                for query, found in zip(QUERIES, search(QUERIES, k), strict=True):
                    wanted = truth(query, k)
                    answer = [(hit.score, hit.number, names[hit.group]) for hit in found]
                    assert answer == wanted
                    for hit in found:
                        assert np.array_equal(hit.row, self.reference.rows[hit.number][1])


class Int8Machine(Machine):
    precision = "int8"


TestFloat32 = Machine.TestCase
TestFloat32.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestInt8 = Int8Machine.TestCase
TestInt8.settings = settings(max_examples=8, stateful_step_count=8, deadline=None)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_searches_during_changes_never_pair_a_row_with_another_person(precision, monkeypatch):
    monkeypatch.setattr(module, "TAIL_ROWS", 20)
    view = View(DIM, precision)
    rows = {n: unit(n) for n in range(1, 400)}
    owners: dict[int, set[str]] = {n: {f"p{n % 7}", f"q{n % 5}"} for n in rows}
    view.load(
        np.arange(1, 41), [f"p{n % 7}" for n in range(1, 41)], np.stack([*rows.values()][:40])
    )
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        k = 0
        while not stop.is_set():
            k = k % 399 + 1
            for found in (*view.search(rows[k][None], 5), *view.search_grouped(rows[k][None], 5)):
                names = {code: person for person, code in view.people().items()}
                for hit in found:
                    is_gone = not hit.row.any()
                    if names[hit.group] not in owners[hit.number]:
                        wrong.append((hit.number, names[hit.group]))
                    if not is_gone and not np.array_equal(hit.row, rows[hit.number]):
                        wrong.append((hit.number, "row"))
                    score = float(np.float32(rows[hit.number].astype(float) @ rows[k]))
                    if hit.score not in (0.0, pytest.approx(score, abs=1e-6)):
                        wrong.append((hit.number, hit.score, score))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    rng = np.random.default_rng(5)
    for number in range(41, 200 if precision == "float32" else 90):
        held = view.numbers.tolist()
        view.apply(
            added=[(number, f"p{number % 7}", rows[number])],
            removed=[int(rng.choice(held))] if number % 2 else [],
            moved={n: f"q{n % 5}" for n in rng.choice(held, 2).tolist()},
        )
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_removed_row_is_overwritten_in_memory():
    view = View(DIM, "float32")
    rows = np.stack([unit(1), unit(2), unit(3)])
    view.load(np.array([1, 2, 3]), ["a", "b", "c"], rows)
    view.apply(removed=[2])
    assert not rows[1].any()
    assert np.array_equal(rows[[0, 2]], np.stack([unit(1), unit(3)]))
