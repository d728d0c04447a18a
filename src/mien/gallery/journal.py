"""The journal of a gallery: what was changed, when, by whom, and how to take it back.

Each entry carries the steps that undo it. Entries are sealed, and those that speak of a person or
a face are removed with them: a deletion is not taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mien.core.errors import ConflictError, MissingError
from mien.gallery._change import Change
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
    verb, *given = step
    match verb:
        case "remove":
            change.remove(given[0])
        case "person":
            change.add_person(given[1], person_id=given[0])
        case "move":
            face_ids, now, then = given
            if any(change.template(face_id).person_id != now for face_id in face_ids):
                raise ConflictError(
                    what="a face belongs to somebody else by now",
                    why="a later change moved it",
                    mend="take the later change back first; see `mien gallery history`",
                )
            change.move(face_ids, then)
        case "rename":
            change.rename_person(*given)
        case "amend":
            face_id, consent, retain_until = given
            change.amend(change.template(face_id), consent=consent, retain_until=retain_until)
        case "separate":
            change.separate(*given)
        case "unite":
            change.unite(*given)
        case "unreject":
            change.unreject(given[0])
        case "move rejection":
            change.move_rejection(*given)


def _ids_of(steps: Sequence[Step]) -> list[str]:
    """People and faces that steps speak of."""
    ids: list[str] = []
    for _, *given in steps:
        for one in given:
            ids += one if isinstance(one, list) else [one]
    return [one for one in ids if isinstance(one, str) and len(one) == 32]  # ids are 32 digits
