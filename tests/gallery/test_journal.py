"""Every change can be taken back, exactly, unless a later one stands in the way."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.core.errors import ConflictError, MienError, MissingError
from mien.gallery.decide import Candidate, Decision, Verdict, decide, point_for_fpir
from toys.galleries import all_bytes, dump, face, make, reopen, table, unit

NAMES = ["Ann", "Bob", "Cyd", "n" * 32]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


@pytest.fixture
def gallery(path):
    with make(path) as made:
        for k, name in enumerate(["Ann", "Bob", "Ann", "Cyd"]):
            made.add(face(name, k), force=True)
        yield made


def ids(gallery, *seeds: int) -> list[str]:
    return [face("", seed).face_id for seed in seeds]


def sight(gallery, name: str) -> str:
    """Keep a face that was thought to be somebody."""
    person = gallery.people.find(name)
    verdict = decide(
        [Candidate(name, 0.1, person.face_id, person.person_id)], point_for_fpir(table(), 0.01, 4)
    )
    assert isinstance(verdict, Verdict)
    assert verdict.decision is Decision.UNKNOWN
    return gallery.review.keep(
        unit(80), verdict, crop=b"j", quality=5, digest="d" * 64, box=(0, 0, 9, 9), days=9
    )


OPERATIONS = {
    "enrol": lambda g: g.add(face("Dan", 9), force=True, crop=b"jpeg"),
    "enrol another": lambda g: g.add(face("Ann", 9), force=True),
    "rename": lambda g: g.people.rename("Ann", "n" * 32),
    "merge": lambda g: g.people.merge("Ann", "Bob"),
    "split": lambda g: g.people.split(ids(g, 2), "Eve"),
    "separate": lambda g: g.people.separate("Ann", "Bob"),
    "reject": lambda g: g.people.reject("Bob", unit(70)),
    "amend": lambda g: g.people.amend(ids(g, 0)[0], consent="c" * 32, retain_until="2029-01-01"),
}


@pytest.mark.parametrize("op", list(OPERATIONS))
def test_each_change_is_taken_back_exactly(gallery, path, op):
    gallery.people.reject("Bob", unit(60))
    gallery.people.separate("Bob", "Cyd")
    sight(gallery, "Bob")
    gallery.index.search(unit(0)[None], 1)
    before = dump(gallery)
    OPERATIONS[op](gallery)
    assert dump(gallery) != before
    entry = gallery.journal.undo(actor="ann")
    assert entry.op == op.split(maxsplit=1)[0]
    assert dump(gallery) == before
    assert gallery.verify() == []
    newest, taken_back = gallery.journal.entries(2)
    assert (newest.op, newest.actor, newest.facts) == ("undo", "ann", {"entry": entry.number})
    assert taken_back.is_undone
    with reopen(path) as again:
        assert dump(again) == before


steps = st.lists(
    st.tuples(
        st.sampled_from(["enrol", "rename", "merge", "split", "separate", "reject", "amend"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    max_size=14,
)


def perform(gallery, op: str, a: int, b: int, seed: int) -> None:
    people = gallery.people.all()
    rows = list(gallery.index.iterate())
    one, other = people[a % len(people)], people[b % len(people)]
    row = rows[a % len(rows)]
    match op:
        case "enrol":
            gallery.add(
                face([*NAMES, "Dan"][b % 5], seed), force=True, crop=b"j" if a % 2 else None
            )
        case "rename":
            gallery.people.rename(one.name, [*NAMES, "Eve", "Fay"][b % 6])
        case "merge":
            gallery.people.merge(one.person_id, other.name)
        case "split":
            own = gallery.people.faces(one.name)
            gallery.people.split([f.face_id for f in own[: 1 + b % 3]], f"split {seed}")
        case "separate":
            gallery.people.separate(one.name, other.name)
        case "reject":
            gallery.people.reject(one.name, unit(seed))
        case "amend":
            day = ["", "2030-01-01", "2031-01-01"][b % 3]
            gallery.people.amend(row.face_id, consent=f"form {b % 2}", retain_until=day)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sequence=steps)
def test_any_sequence_of_changes_is_taken_back_step_by_step(tmp_path_factory, sequence):
    with make(tmp_path_factory.mktemp("undo") / "people.gallery") as gallery:
        for k, name in enumerate(["Ann", "Bob", "Ann", "Cyd"]):
            gallery.add(face(name, k), force=True)
        states = []
        for k, (op, a, b) in enumerate(sequence):
            before, entries = dump(gallery), gallery.journal.entries(1)[0].number
            try:
                perform(gallery, op, a, b, 1000 + k)
            except MienError:
                assert dump(gallery) == before
                continue
            if gallery.journal.entries(1)[0].number > entries:
                states.append((op, before))
            else:
                assert dump(gallery) == before
        searched = gallery.index.search(unit(0)[None], 99)[0]
        assert len(searched) == gallery.count().faces
        while states:
            op, before = states.pop()
            assert gallery.journal.undo().op == op
            assert dump(gallery) == before
        assert gallery.verify() == []
        assert [h.person for h in gallery.index.search(unit(1)[None], 1)[0]] == ["Bob"]


def entry(gallery, op: str) -> int:
    return next(one.number for one in gallery.journal.entries() if one.op == op)


LATER = {
    "a name that was changed again": (
        "rename",
        lambda g: (g.people.rename("Ann", "Anna"), g.people.rename("Anna", "Annie")),
        -2,
    ),
    "a renamed person who was merged away": (
        "rename",
        lambda g: (g.people.rename("Bob", "Rob"), g.people.merge("Ann", "Rob")),
        None,
    ),
    "a name that somebody else has now": (
        "rename",
        lambda g: (g.people.rename("Bob", "Rob"), g.people.rename("Cyd", "Bob")),
        -2,
    ),
    "a merged face that was moved on": (
        "merge",
        lambda g: (g.people.merge("Ann", "Bob"), g.people.split(ids(g, 1), "Eve")),
        None,
    ),
    "a merged person whose name is taken": (
        "merge",
        lambda g: (g.people.merge("Ann", "Bob"), g.people.rename("Cyd", "Bob")),
        None,
    ),
    "a split whose person was merged away": (
        "split",
        lambda g: (g.people.split(ids(g, 2), "Eve"), g.people.merge("Cyd", "Ann")),
        None,
    ),
    "a split whose faces were merged back": (
        "split",
        lambda g: (g.people.split(ids(g, 2), "Eve"), g.people.merge("Ann", "Eve")),
        None,
    ),
    "an amendment that was amended": (
        "amend",
        lambda g: (
            g.people.amend(ids(g, 0)[0], consent="one"),
            g.people.amend(ids(g, 0)[0], consent="two"),
        ),
        -2,
    ),
    "an enrolment whose face was merged": ("enrol", lambda g: g.people.merge("Bob", "Cyd"), None),
    "a separation that went over to another": (
        "separate",
        lambda g: (g.people.separate("Ann", "Bob"), g.people.merge("Cyd", "Bob")),
        None,
    ),
}


@pytest.mark.parametrize("what", list(LATER))
def test_a_later_change_stands_in_the_way(gallery, what):
    op, change, which = LATER[what]
    change(gallery)
    numbers = [one.number for one in reversed(gallery.journal.entries()) if one.op == op]
    before = dump(gallery)
    with pytest.raises(ConflictError, match=r"stands in the way|of that name is in the gallery"):
        gallery.journal.undo(numbers[which or -1])
    assert dump(gallery) == before
    assert gallery.verify() == []
    while gallery.people.all() and gallery.journal.entries()[0].number >= numbers[which or -1]:
        if gallery.journal.undo().number == numbers[which or -1]:
            break
    assert gallery.verify() == []


def test_nothing_is_taken_back_twice(gallery):
    gallery.people.rename("Ann", "Anna")
    number = entry(gallery, "rename")
    gallery.journal.undo(number)
    with pytest.raises(
        ConflictError, match=r"\(rename\) cannot be taken back; it was taken back al"
    ):
        gallery.journal.undo(number)
    with pytest.raises(ConflictError, match=r"\(undo\) cannot be taken back; it has no way back"):
        gallery.journal.undo(entry(gallery, "undo"))


def test_an_entry_that_is_not_there_is_missing(gallery, path):
    with pytest.raises(MissingError, match="no such change to take back; the journal holds none"):
        gallery.journal.undo(999)
    with make(path.with_name("empty")) as empty, pytest.raises(MissingError):
        empty.journal.undo()


def test_all_of_it_can_be_taken_back(gallery):
    for _ in range(4):
        gallery.journal.undo()
    assert dump(gallery)["people"] == dump(gallery)["faces"] == []
    assert gallery.index.search(unit(0)[None], 1) == [[]]
    with pytest.raises(MissingError):
        gallery.journal.undo()


def test_entries_tell_what_was_done_by_whom(gallery):
    gallery.people.merge("Ann", "Bob", actor="key 7")
    newest, before = gallery.journal.entries(2)
    assert (newest.op, newest.actor, newest.can_undo, newest.is_undone) == (
        "merge",
        "key 7",
        True,
        False,
    )
    assert newest.facts["faces"] == 1
    assert newest.at.endswith("+00:00")
    assert before.op == "enrol"
    assert newest.number > before.number


def test_a_deletion_takes_the_entries_about_its_person_along(gallery):
    bob = gallery.people.find("Bob").person_id
    gallery.people.rename("Bob", "Robert")
    gallery.people.separate("Robert", "Cyd")
    gallery.people.reject("Robert", unit(70))
    gallery.people.amend(ids(gallery, 1)[0], consent="new")
    gallery.people.rename("Cyd", "Cydney")
    receipt = gallery.deletion.person("Robert")
    assert receipt.removed["journal_entries"] == 5
    left = [(one.op, one.facts.get("face_id")) for one in gallery.journal.entries()]
    assert left == [
        ("delete", None),
        ("rename", None),
        ("enrol", ids(gallery, 3)[0]),
        ("enrol", ids(gallery, 2)[0]),
        ("enrol", ids(gallery, 0)[0]),
    ]
    with pytest.raises(ConflictError, match=r"\(delete\) cannot be taken back; it has no way back"):
        gallery.journal.undo(gallery.journal.entries(1)[0].number)
    for _ in range(4):
        gallery.journal.undo()
    assert bob not in str(dump(gallery))


def test_a_deletion_takes_a_merge_along_that_would_bring_its_separation_back(gallery):
    """Bob was noted not to be Cyd, and went into Ann; then Cyd is deleted."""
    gallery.people.separate("Bob", "Cyd")
    gallery.people.merge("Ann", "Bob")
    cyd = gallery.people.find("Cyd").person_id
    gallery.deletion.person("Cyd")
    assert "merge" not in {one.op for one in gallery.journal.entries()}
    assert cyd not in {one for (one,) in gallery.index.query("SELECT id FROM journal_ids")}
    gallery.journal.undo()
    assert gallery.verify() == []


def test_names_and_consents_are_in_no_file_however_long(gallery, path):
    """Also those of 32 characters, as ids are."""
    secret = "".join(np.random.default_rng(4).choice(list("abcdefgh"), 32))
    gallery.people.rename("Ann", secret)
    gallery.people.amend(ids(gallery, 0)[0], consent=secret[::-1])
    gallery.people.amend(ids(gallery, 0)[0], consent="other")
    gallery.journal.undo()
    gallery.journal.undo()
    gallery.journal.undo()
    gallery.people.rename("Bob", secret)
    gallery.people.merge("Ann", secret)
    gallery.journal.undo()
    assert secret.encode() not in all_bytes(path.parent)
    assert secret[::-1].encode() not in all_bytes(path.parent)


def test_two_processes_share_one_journal(gallery, path):
    with reopen(path) as other:
        other.people.rename("Ann", "Anna")
        assert gallery.journal.undo().op == "rename"
        assert other.people.find("Ann").faces == 2
