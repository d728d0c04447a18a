"""The people of a gallery: who is there, and what may be done with them.

Every change is one transaction with an entry in the journal. Deleting is in `deletion`, enrolling
in `gallery`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from mien.core.errors import ConflictError, InputError, RefusedError
from mien.core.types import Float32
from mien.gallery._change import Change, no_such_person
from mien.gallery.index import Template, check_record, check_templates
from mien.gallery.journal import Step, note
from mien.gallery.sqlite import SqliteIndex


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the gallery.

    Attributes:
        person_id: Opaque id, 32 hexadecimal digits; it survives a change of name.
        name: As enrolled.
        faces: How many templates there are.
        has_consent: Whether each template has a consent or ground.
        retain_until: The earliest day of deletion among the templates; empty if there is none.
        face_id: The template of the best quality.
    """

    person_id: str
    name: str
    faces: int
    has_consent: bool
    retain_until: str
    face_id: str


class People:
    """Everybody in one gallery. People are named by their name or their id."""

    def __init__(self, index: SqliteIndex) -> None:
        self._index = index

    def all(self) -> list[Person]:
        """Everybody, by name."""
        groups: dict[str, list[Template]] = {}
        for template in self._index.iterate():
            groups.setdefault(template.person_id, []).append(template)
        return sorted((_person(faces) for faces in groups.values()), key=lambda p: p.name)

    def find(self, who: str) -> Person:
        """One person, by name or id.

        Raises:
            IdentityMissingError: If there is nobody of that name.
        """
        return _person(self.faces(who))

    def faces(self, who: str) -> list[Template]:
        """What is enrolled of one person, in order of enrolment.

        Raises:
            IdentityMissingError: If there is nobody of that name.
        """
        with self._index.look() as rows:
            return rows.faces_of(resolve(rows, who))

    def crop(self, face_id: str) -> bytes | None:
        """The piece of the picture that shows a face, JPEG; None if it was not kept."""
        found = self._index.query("SELECT sealed FROM crops WHERE face_id = ?", (face_id,))
        return self._index.vault.open(found[0][0], "crop", face_id) if found else None

    def rename(self, who: str, name: str, *, actor: str = "") -> Person:
        """Give a person another name.

        Raises:
            IdentityMissingError: If there is nobody of that name.
            ConflictError: If the new name is taken.
            InputError: If it is no name.
        """
        wanted = check_name(name)
        with self._index.change() as change:
            person_id = resolve(change, who)
            before = change.person_name(person_id)
            if wanted != before:
                change.rename_person(person_id, wanted)
                undo: list[Step] = [["rename", person_id, before, wanted]]
                note(change, "rename", actor=actor, ids=[person_id], facts={}, undo=undo)
        return self.find(person_id)

    def amend(
        self,
        face_id: str,
        *,
        consent: str | None = None,
        retain_until: str | None = None,
        actor: str = "",
    ) -> Template:
        """Change what a person agreed to, or the day of deletion, for one template.

        Args:
            face_id: The template.
            consent: The new consent; None leaves it.
            retain_until: The new day; None leaves it, empty takes it away.
            actor: Who does it.

        Raises:
            IdentityMissingError: If there is no such face.
            InputError: If the day is no day.
            RefusedError: If the gallery is strict and something would be missing.
        """
        with self._index.change() as change:
            before = change.template(face_id)
            new_consent = before.consent if consent is None else consent
            day = before.retain_until if retain_until is None else check_day(retain_until)
            check_strict(self._index, new_consent, day)
            change.amend(before, consent=new_consent, retain_until=day)
            undo: list[Step] = [
                ["amend", face_id, [before.consent, before.retain_until], [new_consent, day]]
            ]
            ids = [face_id, before.person_id]
            note(change, "amend", actor=actor, ids=ids, facts={"face_id": face_id}, undo=undo)
        return self._index.get([face_id])[0]

    def merge(self, into: str, other: str, *, actor: str = "") -> Person:
        """Make two people one: all of ``other`` goes to ``into``.

        Raises:
            IdentityMissingError: If one of them is not there.
            ConflictError: If both are the same, or were noted not to be one person.
        """
        with self._index.change() as change:
            kept, gone = resolve(change, into), resolve(change, other)
            _check_merge(change, kept, gone)
            moved = [face.face_id for face in change.faces_of(gone)]
            undo: list[Step] = [["person", gone, change.person_name(gone)]]
            undo.append(["move", moved, kept, gone])
            for rejection_id in change.rejections_of(gone):
                change.move_rejection(rejection_id, kept)
                undo.append(["move rejection", rejection_id, gone])
            for sighting_id in change.sightings_of([gone]):
                change.move_sighting(sighting_id, kept)
                undo.append(["move sighting", sighting_id, gone])
            for third in change.separate_from(gone):
                undo.append(["separate", gone, third])
                if not change.are_separate(kept, third):
                    change.separate(kept, third)
                    undo.append(["unite", kept, third])
            change.move(moved, kept)
            ids = [kept, gone, *moved]
            facts = {"into": kept, "other": gone, "faces": len(moved)}
            note(change, "merge", actor=actor, ids=ids, facts=facts, undo=undo)
        return self.find(kept)

    def split(self, face_ids: Sequence[str], name: str, *, actor: str = "") -> Person:
        """Take faces away from one person and make another of them.

        Args:
            face_ids: Faces of one person, not all of them.
            name: The new person's name.
            actor: Who does it.

        Raises:
            IdentityMissingError: If a face is not there.
            ConflictError: If the name is taken.
            InputError: If there are no faces, they are of several people, or all of one.
        """
        wanted = check_name(name)
        with self._index.change() as change:
            owners = {change.template(face_id).person_id for face_id in face_ids}
            if len(owners) != 1:
                raise InputError(
                    what=f"the faces belong to {len(owners)} people",
                    why="a split takes some faces away from one person",
                    mend="name one face or more, all of one person",
                )
            (owner,) = owners
            if len(set(face_ids)) == len(change.faces_of(owner)):
                raise InputError(
                    what="all faces of the person are named",
                    why="nothing would be left of them",
                    mend="rename the person instead",
                )
            made = change.add_person(wanted)
            change.move(list(face_ids), made)
            undo: list[Step] = [["move", list(face_ids), made, owner]]
            ids = [owner, made, *face_ids]
            facts = {"person": owner, "new": made, "faces": len(face_ids)}
            note(change, "split", actor=actor, ids=ids, facts=facts, undo=undo)
        return self.find(made)

    def separate(self, one: str, other: str, *, actor: str = "") -> None:
        """Note that two people are not one, however alike they look: they cannot be merged.

        Raises:
            IdentityMissingError: If one of them is not there.
            ConflictError: If both are the same.
        """
        with self._index.change() as change:
            a, b = resolve(change, one), resolve(change, other)
            if a == b:
                raise _same_person()
            if not change.are_separate(a, b):
                change.separate(a, b)
                undo: list[Step] = [["unite", a, b]]
                note(change, "separate", actor=actor, ids=[a, b], facts={}, undo=undo)

    def reject(self, who: str, vector: Float32, *, actor: str = "") -> str:
        """Note that a face is *not* this person, so that it is not named so again.

        A later face that resembles this one more than any template of the person is not taken for
        them.

        Args:
            who: The person.
            vector: (d,) template of the face.
            actor: Who does it.

        Returns:
            Id of the rejection.

        Raises:
            IdentityMissingError: If there is nobody of that name.
            ShapeError: If the template has another length.
            RangeError: If it is not of length 1.
        """
        row = np.asarray(vector, np.float32)
        check_templates([Template("", "", row, 0, "", "", (0, 0, 0, 0), "", "")], self._index.dim)
        with self._index.change() as change:
            person_id = resolve(change, who)
            made = change.reject(person_id, row)
            undo: list[Step] = [["unreject", made]]
            note(change, "reject", actor=actor, ids=[person_id], facts={}, undo=undo)
        return made

    def rejections(self) -> dict[str, Float32]:
        """For each person with rejections, their templates, (n, d)."""
        found: dict[str, list[Float32]] = {}
        for one, person_id, sealed in self._index.query("SELECT * FROM rejections"):
            plain = self._index.vault.open(sealed, "rejection", one, person_id)
            found.setdefault(str(person_id), []).append(np.frombuffer(plain, "<f4"))
        return {person: np.stack(rows).astype(np.float32) for person, rows in found.items()}


def resolve(rows: Change, who: str) -> str:
    """Id of a person, from a name or an id.

    Raises:
        IdentityMissingError: If there is nobody of that name.
    """
    if rows.has_person(who):  # first: nobody's name must stand in for another one's id
        return who
    by_name = rows.find_person(who.strip())
    if by_name is None:
        raise no_such_person()
    return by_name


def check_name(person: str) -> str:
    """A name without white space around it.

    Raises:
        InputError: If it is empty, too long, or holds control characters.
    """
    name = person.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InputError(
            what="the person's name is empty, over 200 characters, or holds control characters",
            why="people are found again by their names",
            mend="pass a name such as 'Ada Lovelace'",
        )
    return name


def check_day(text: str) -> str:
    """A day such as ``2027-01-31``, or nothing.

    Raises:
        InputError: If it is neither.
    """
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as err:
        raise InputError(
            what=f"the day of deletion is {text!r}",
            why="it must be a day of the calendar",
            mend="write it as 2027-01-31",
        ) from err


def is_strict(index: SqliteIndex) -> bool:
    """Whether each template of a gallery needs a consent and a day of deletion."""
    return index.read_note("strict") == "yes"


def check_strict(index: SqliteIndex, consent: str, retain_until: str) -> None:
    """In a strict gallery every template needs a ground and an end.

    Raises:
        RefusedError: If one of them is missing.
    """
    if is_strict(index) and not (consent.strip() and retain_until):
        raise RefusedError(
            what="a template without a consent or without a day of deletion",
            why="this gallery is strict: each template needs both",
            mend="pass --consent 'signed form 12' --retain-until 2027-01-31",
        )


def _person(faces: Sequence[Template]) -> Person:
    check_record(faces, "somebody of that name has no faces")
    best = max(faces, key=lambda face: face.quality)
    return Person(
        person_id=best.person_id,
        name=best.person,
        faces=len(faces),
        has_consent=all(face.consent.strip() for face in faces),
        retain_until=min((f.retain_until for f in faces if f.retain_until), default=""),
        face_id=best.face_id,
    )


def _check_merge(change: Change, kept: str, gone: str) -> None:
    if kept == gone:
        raise _same_person()
    if change.are_separate(kept, gone):
        raise ConflictError(
            what="these two were noted not to be one person",
            why="merging them would mix two people",
            mend="take that note back first: see `mien gallery history`",
        )


def _same_person() -> ConflictError:
    return ConflictError(
        what="both names are one and the same person",
        why="two people are needed",
        mend="name two",
    )
