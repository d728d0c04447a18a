"""A search server kept in step with a gallery: Milvus or PostgreSQL search, SQLite stays the truth.

The server gets opaque ids and templates turned by a secret of the gallery's (`transform`), never a
name. What has changed is noted in the gallery's own transaction (the outbox), sent afterwards, and
always before a search: an answer never lacks an acknowledged change. A server that cannot be
reached makes searches fail; it never makes them wrong.
"""

import json
import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from mien.core.errors import ConflictError, MienError, MissingError
from mien.core.log import logger
from mien.core.types import Float32
from mien.gallery.backends.open import create_index, open_index
from mien.gallery.index import GalleryIndex, Hit, Template
from mien.gallery.sqlite import SqliteIndex
from mien.gallery.transform import TemplateTransform

_NOTE: Final = "mirror"
_SENT_AT_ONCE: Final = 1000


class Mirror:
    """The server that searches for one gallery."""

    def __init__(
        self, index: SqliteIndex, remote: GalleryIndex, transform: TemplateTransform
    ) -> None:
        self._index = index
        self._remote = remote
        self._transform = transform

    @classmethod
    def attach(cls, index: SqliteIndex, url: str) -> "Mirror":
        """Make the index in a server, send everything, and keep it in step from now on.

        Args:
            index: The gallery.
            url: As for `backends.open.open_index`; kept sealed, since it may hold a password.

        Raises:
            ConflictError: If the gallery has one already, or the server's index exists.
            StorageError: If the server cannot be used.
        """
        if index.read_secret(_NOTE) is not None:
            raise ConflictError(
                what="the gallery has a search server already",
                why="it keeps in step with one",
                mend="let go of it first: mien gallery detach",
            )
        secret = os.urandom(32)
        transform = TemplateTransform.from_secret(secret, index.dim)
        remote = create_index(url, transform.contract(index.contract), index.dim)
        try:
            with index.change() as change:
                change.set_secret(_NOTE, json.dumps({"url": url, "secret": secret.hex()}).encode())
                change.post_all()
            mirror = cls(index, remote, transform)
            mirror.flush()
        except BaseException:
            remote.close()
            raise
        return mirror

    @classmethod
    def reopen(cls, index: SqliteIndex) -> "Mirror | None":
        """The server of a gallery; None if it has none.

        Raises:
            StorageError: If the server cannot be used.
            MissingError: If the server has lost its index.
        """
        kept = index.read_secret(_NOTE)
        if kept is None:
            return None
        values = json.loads(kept)
        transform = TemplateTransform.from_secret(bytes.fromhex(values["secret"]), index.dim)
        remote = open_index(values["url"], contract=transform.contract(index.contract))
        return cls(index, remote, transform)

    def detach(self) -> None:
        """Remove everything from the server, and forget it.

        Raises:
            StorageError: If the server cannot be used; the gallery then still has it.
        """
        ids = [template.face_id for template in self._remote.iterate()]
        for at in range(0, len(ids), _SENT_AT_ONCE):
            self._remote.delete(ids[at : at + _SENT_AT_ONCE])
        with self._index.change() as change:
            change.drop_secret(_NOTE)
            change.clear_outbox()
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._remote.close()

    def flush(self) -> int:
        """Send what has changed since the last time.

        Returns:
            How many faces were sent or removed.

        Raises:
            StorageError: If the server cannot be used; what was not sent stays in the outbox.
        """
        sent = 0
        while waiting := self._index.outbox(_SENT_AT_ONCE):
            with self._index.look() as rows:
                present = [rows.template(one) for one in waiting if rows.has_face(one)]
            ids = {template.face_id for template in present}
            self._remote.delete([one for one in waiting if one not in ids])
            if present:
                self._remote.upsert(self._turned(present))
            self._index.sent(waiting)
            sent += len(waiting)
        return sent

    def flush_or_wait(self) -> bool:
        """`flush`, but a server that cannot be reached is only logged; whether all was sent."""
        try:
            self.flush()
        except MienError as err:
            logger.warning("the search server is behind: %s", err.why)
            return False
        return True

    def search_grouped(self, queries: Float32, k: int) -> list[list[Hit]]:
        """See `GalleryIndex.search_grouped`; names come from the gallery.

        Raises:
            StorageError: If the server cannot be used, or could not be brought up to date.
        """
        self.flush()
        found = self._remote.search_grouped(self._transform.apply(queries), k)
        with self._index.look() as rows:
            return [
                [
                    Hit(hit.face_id, rows.person_name(hit.person), hit.score, hit.person)
                    for hit in hits
                    if rows.has_person(hit.person)
                ]
                for hits in found
            ]

    def faults(self) -> list[str]:
        """Differences between the server and the gallery, in words; empty if there are none."""
        self.flush()
        faults = [f"search server: {fault}" for fault in self._remote.verify()]
        theirs = {t.face_id: t for t in self._remote.iterate()}
        for template in self._index.iterate():
            (ours,) = self._turned([template])
            their = theirs.pop(template.face_id, None)
            if their is None or their.person != ours.person:
                faults.append(f"search server: face {template.face_id} is missing or mixed up")
            elif not np.allclose(their.vector, ours.vector, atol=1e-6):
                faults.append(f"search server: the template of face {template.face_id} differs")
        return faults + [f"search server: face {one} is not in the gallery" for one in theirs]

    def holds(self, face_ids: Sequence[str]) -> bool:
        """Whether one of these faces is in the server."""
        for face_id in face_ids:
            try:
                self._remote.get([face_id])
            except MissingError:
                continue
            return True
        return False

    def _turned(self, templates: Sequence[Template]) -> list[Template]:
        """What the server is given of some templates: ids and turned vectors."""
        rows = self._transform.apply(np.stack([template.vector for template in templates]))
        return [
            Template(
                face_id=template.face_id,
                person=template.person_id,
                vector=row,
                quality=0.0,
                source="",
                digest="",
                box=(0.0, 0.0, 0.0, 0.0),
                consent="",
                enrolled_at="",
            )
            for template, row in zip(templates, rows, strict=True)
        ]
