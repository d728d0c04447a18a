"""The journal of a gallery: what was changed, when, by whom, and how to take it back.

Each entry carries the steps that undo it. Entries are sealed, and those that speak of a person or
a face are removed with them: a deletion is not taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mien.core.errors import ConflictError, IdentityMissingError, MissingError
from mien.gallery._change import Change
from mien.gallery.index import Template
from mien.gallery.sqlite import SqliteIndex

Step = list[Any]
"""A verb and its arguments, as JSON keeps them; see `_take_step`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change.

    Attributes:
        number: Of the entry; rising, never used twice.
        at: UTC, ISO 8601.
        op: What was done, such as ``"merge"``.
        actor: Who did it, as the caller said: an API key's id, or ``cli``.
        facts: Ids and counts.
        can_undo: Whether it can be taken back, as far as the entry itself tells.
        is_undone: Whether it was.
    """

    number: int
    at: str
    op: str
    actor: str
    facts: dict[str, Any]
    can_undo: bool
    is_undone: bool


class Journal:
    """The entries of one gallery."""

    def __init__(self, index: SqliteIndex) -> None:
        self._index = index

    def entries(self, limit: int = 100) -> list[Entry]:
        """The newest entries, newest first."""
        rows = self._index.query(
            "SELECT number, undone, sealed FROM journal ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [self._entry(*row) for row in rows]

    def undo(self, number: int | None = None, *, actor: str = "") -> Entry:
        """Take a change back.

        Args:
            number: Of its entry; None: the newest that can be taken back and was not.
            actor: Who does it.

        Returns:
            The entry that was taken back.

        Raises:
            MissingError: If there is no such entry.
            ConflictError: If it cannot be taken back, was taken back already, or later changes
                stand in the way.
        """
        with self._index.change() as change:
            entry, steps = self._choose(number)
            for step in steps:
                _take_step(change, step)
            change.mark_undone(entry.number)
            note(change, "undo", actor=actor, ids=_ids_of(steps), facts={"entry": entry.number})
        return entry

    def _choose(self, number: int | None) -> tuple[Entry, list[Step]]:
        where = "WHERE number = ?" if number is not None else "WHERE undone = 0"
        rows = self._index.query(
            f"SELECT number, undone, sealed FROM journal {where} ORDER BY number DESC",  # noqa: S608
            () if number is None else (number,),
        )
        for row in rows:
            entry = self._entry(*row)
            if entry.is_undone or (number is not None and not entry.can_undo):
                raise ConflictError(
                    what=f"entry {entry.number} ({entry.op}) cannot be taken back",
                    why="it was taken back already" if entry.is_undone else "it has no way back",
                    mend="see `mien gallery history`",
                )
            if entry.can_undo:
                return entry, self._index.vault.open_json(row[2], "journal", str(row[0]))["undo"]
        raise MissingError(
            what="there is no such change to take back",
            why="the journal holds none, or it was removed with the person whom it concerned",
            mend="see `mien gallery history`",
        )

    def _entry(self, number: int, undone: int, sealed: bytes) -> Entry:
        value = self._index.vault.open_json(sealed, "journal", str(number))
        return Entry(
            number=int(number),
            at=value["at"],
            op=value["op"],
            actor=value["actor"],
            facts=value["facts"],
            can_undo=bool(value["undo"]),
            is_undone=bool(undone),
        )


def note(
    change: Change,
    op: str,
    *,
    actor: str,
    ids: Sequence[str],
    facts: dict[str, Any],
    undo: Sequence[Step] = (),
) -> int:
    """Write an entry as part of a change.

    Args:
        change: The change under way.
        op: What is done.
        actor: Who does it.
        ids: People and faces that it concerns.
        facts: Ids and counts, for readers of the history.
        undo: Steps that take it back, in order.

    Returns:
        The entry's number.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    ids = [*ids, *_ids_of(undo)]
    entry = {"op": op, "at": at, "actor": actor, "facts": facts, "undo": list(undo)}
    return change.note(entry, ids)


def _take_step(change: Change, step: Step) -> None:
    """Take one step back.

    Raises:
        ConflictError: If what it is to change is not any more as the journal's entry left it.
    """
    verb, *given = step
    match verb:
        case "remove":
            face_ids, owner = given
            _check_owner(change, face_ids, owner)
            change.remove(face_ids)
        case "person":
            change.add_person(given[1], person_id=given[0])
        case "move":
            face_ids, now, then = given
            _check_owner(change, face_ids, now)
            _check_still(change.has_person(then))
            change.move(face_ids, then)
        case "rename":
            person_id, before, after = given
            _check_still(change.has_person(person_id) and change.person_name(person_id) == after)
            change.rename_person(person_id, before)
        case "amend":
            face_id, before, after = given
            face = _find_face(change, face_id)
            _check_still([face.consent, face.retain_until] == after)
            change.amend(face, consent=before[0], retain_until=before[1])
        case "separate":
            _check_still(all(change.has_person(one) for one in given))
            change.separate(*given)
        case "unite":
            _check_still(change.are_separate(*given))
            change.unite(*given)
        case "unreject":
            change.unreject(given[0])
        case "move rejection":
            change.move_rejection(*given)
        case "move sighting":
            change.move_sighting(*given)


def _check_owner(change: Change, face_ids: Sequence[str], owner: str) -> None:
    _check_still(all(_find_face(change, one).person_id == owner for one in face_ids))


def _find_face(change: Change, face_id: str) -> Template:
    try:
        return change.template(face_id)
    except IdentityMissingError as err:
        raise _changed_since() from err


def _check_still(condition: object) -> None:
    if not condition:
        raise _changed_since()


def _changed_since() -> ConflictError:
    return ConflictError(
        what="what the entry changed is not as it left it",
        why="a later change stands in the way",
        mend="take the later change back first; see `mien gallery history`",
    )


def _ids_of(steps: Sequence[Step]) -> list[str]:
    """People and faces that steps speak of; never a name or a consent, which are sealed."""
    ids: list[str] = []
    for verb, *given in steps:
        match verb:
            case "remove" | "move":
                ids += [*given[0], *given[1:]]
            case "person" | "rename" | "amend":
                ids += given[:1]
            case "separate" | "unite":
                ids += given
            case "move rejection" | "move sighting":
                ids += given[1:]
    return ids
