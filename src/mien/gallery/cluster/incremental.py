"""Clusters that grow with the folder, and keep what the user corrected."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mien.core.errors import ContractError
from mien.core.types import Array, Ints
from mien.gallery.cluster._inputs import check_rows
from mien.gallery.cluster._state import State, pack, unpack
from mien.gallery.cluster.config import ClusterConfig
from mien.gallery.cluster.links import Links, tie
from mien.gallery.cluster.once import Clustering, describe, number_by_first, pair_rows, regroup


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What became of the clusters.

    Attributes:
        labels: (m,) clusters of the faces just added; none after a correction.
        opened: Labels that are new.
        merged: For each label that is gone, itself and the one that its faces have now.
        split: For each label that was divided, itself and another that some of its faces have now.
    """

    labels: Ints
    opened: tuple[int, ...]
    merged: tuple[tuple[int, int], ...]
    split: tuple[tuple[int, int], ...]


class IncrementalClusters:
    """Faces put together by person, a few at a time.

    A label, once given, stays: a face changes its label only if two clusters become one (the older
    label is kept), after a correction, or when `rebuild` is asked for. Labels of the gone are not
    used again. A call that fails changes nothing; one that succeeds takes time in proportion to
    all faces, so add many at once. Not safe to call from several threads.

    Attributes:
        config: Settings.
        contract: Id of the pipeline that made the templates; may be empty.
    """

    def __init__(self, config: ClusterConfig | None = None, *, contract: str = "") -> None:
        self.config = config or ClusterConfig()
        self.contract = contract
        self._state = State.empty()

    def __len__(self) -> int:
        """Number of faces."""
        return len(self._state.faces)

    @property
    def links(self) -> Links:
        """All corrections so far."""
        return self._state.links

    def clustering(self) -> Clustering:
        """The clusters as they are now."""
        return describe(self._state.faces, self._state.labels.copy())

    def add(
        self, templates: ArrayLike, photos: ArrayLike, *, quality: ArrayLike | None = None
    ) -> Change:
        """Give new faces to the clusters there are, or open new ones.

        Args:
            templates: (m, d) float, rows of length 1; they become the next m rows.
            photos: (m,) whole numbers; the same number means the same photo in every call.
            quality: (m,) unified quality, 0-100; None takes all for clear.

        Raises:
            ShapeError: If the arrays do not fit together, or the templates not those before.
            RangeError: If a template is not of length 1, or a quality not in 0-100.
        """
        new, old, n_old = check_rows(templates, photos, quality), self._state, len(self)
        faces = old.faces.joined(new)
        # Numbers are dealt out in canonical order: of equal pairs the lower merges first.
        order = new.canonical_order()
        rank = np.argsort(order)
        row = np.concatenate([np.arange(n_old), n_old + order])
        found = pair_rows(faces.take(row), self.config, start=n_old)
        grown = replace(
            old,
            faces=faces,
            labels=np.concatenate([old.labels, old.next_label + rank]),
            parts=np.concatenate([old.parts, n_old + rank]),
            candidates=np.concatenate([old.candidates, row[found]]),
        )
        self._state = self._settle(grown)
        return _compare(old.labels, self._state.labels)

    def link(self, links: Links) -> Change:
        """Take corrections, for ever.

        Clusters that a must-link ties become one. A cluster that holds a pair with a cannot-link
        is divided into as few as links allow, each face going with those it resembles most.

        Args:
            links: Pairs of rows, counted in the order in which faces were added.

        Raises:
            RangeError: If a link names a row that does not exist.
            ConflictError: If it contradicts these or earlier links; the message names the rows.
        """
        old = self._state
        joined = old.links.joined(links)
        groups = joined.groups(len(self))
        state = replace(old, links=joined)
        for pool in _disturbed(state):
            state = self._renew(state, pool, groups[pool], force=True)
        self._state = self._settle(state)
        return _compare(old.labels, self._state.labels)

    def rebuild(self) -> Change:
        """Put all faces together anew, as if they had come at once.

        What was decided early, on few faces, may change. Corrections hold, and each label stays
        with most of its faces; others may move.
        """
        old = self._state
        everyone = np.arange(len(self))
        groups = old.links.groups(len(self))
        self._state = self._settle(self._renew(old, everyone, groups))
        return _compare(old.labels, self._state.labels)

    def _settle(self, state: State) -> State:
        """Merge what is alike, and number new clusters by their first face."""
        _, parts = np.unique(state.parts, return_inverse=True)
        labels, clusters = np.unique(state.labels, return_inverse=True)
        merged_parts, merged_clusters = regroup(
            state.faces,
            parts=parts,
            clusters=clusters,
            candidates=state.candidates,
            cannot=state.links.cannot,
            config=self.config,
        )
        settled = labels[merged_clusters]
        fresh = settled >= state.next_label
        settled[fresh] = state.next_label + number_by_first(settled[fresh])
        return replace(
            state,
            labels=settled,
            parts=_first_rows(merged_parts),
            next_label=int(settled.max(initial=state.next_label - 1)) + 1,
        )

    def _renew(self, state: State, pool: Ints, groups: Ints, *, force: bool = False) -> State:
        """Build the clusters of some rows anew.

        Args:
            state: What to change.
            pool: (p,) rows that are whole clusters.
            groups: (p,) equal for rows that must be together.
            force: Whether to make as few clusters as links allow.
        """
        place = np.full(len(state.faces), -1)
        place[pool] = np.arange(len(pool))
        candidates, cannot = (_within(place[p]) for p in (state.candidates, state.links.cannot))
        parts, clusters = regroup(
            state.faces.take(pool),
            parts=np.arange(len(pool)),
            clusters=number_by_first(groups),
            candidates=candidates,
            cannot=cannot,
            config=self.config,
            force=force,
        )
        labels, all_parts = state.labels.copy(), state.parts.copy()
        first_new = max(state.next_label, int(labels.max(initial=-1)) + 1)
        labels[pool] = _inherit(labels[pool], number_by_first(clusters), first_new)
        all_parts[pool] = pool[_first_rows(parts)]
        return replace(state, labels=labels, parts=all_parts)

    def to_arrays(self) -> dict[str, Array]:
        """The whole state as arrays for ``numpy.savez``; `from_arrays` takes them back.

        They hold templates of people: keep them as safe as a gallery.
        """
        return pack(self._state, self.config, self.contract)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], *, contract: str | None = None
    ) -> "IncrementalClusters":
        """The state that `to_arrays` wrote.

        Args:
            arrays: Such a mapping, or what ``numpy.load`` returns for the file.
            contract: Id of the pipeline whose faces will be added; None asks for none.

        Raises:
            IntegrityError: If arrays are missing, unreadable or do not fit together.
            ContractError: If the templates were made by another pipeline.
        """
        state, config, stored = unpack(arrays)
        if contract is not None and contract != stored:
            raise ContractError(
                what=f"the clusters hold templates of {stored!r}, not of {contract!r}",
                why="templates of different pipelines cannot be compared",
                mend="begin anew with all photos, or use the pipeline they were made with",
            )
        clusters = cls(config, contract=stored)
        clusters._state = state
        return clusters


def _disturbed(state: State) -> Iterator[Ints]:
    """Rows of clusters that the links contradict, together with those they are tied to."""
    labels, clusters = np.unique(state.labels, return_inverse=True)
    must, cannot = clusters[state.links.must], clusters[state.links.cannot]
    tied = tie(must, len(labels))
    faulty = np.concatenate(
        [must[must[:, 0] != must[:, 1], 0], cannot[cannot[:, 0] == cannot[:, 1], 0]]
    )
    for cluster in np.unique(tied[faulty]):
        yield np.flatnonzero(tied[clusters] == cluster)


def _within(pairs: Ints) -> Ints:
    """Pairs without those that lead outside, to -1."""
    return pairs[(pairs >= 0).all(1)]


def _first_rows(values: Ints) -> Ints:
    """(n,) for each row the first one of the same value."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]


def _inherit(old: Ints, pieces: Ints, first_new: int) -> Ints:
    """Labels of the pieces of former clusters.

    Each label goes to the piece that holds most of its rows. A piece with several labels takes
    the oldest, one without takes a new one.

    Args:
        old: (p,) former labels.
        pieces: (p,) numbers 0 … k-1, each at least once.
        first_new: The smallest label that may be new.
    """
    labels = np.full(pieces.max(initial=-1) + 1, -1)
    for label in np.unique(old)[::-1]:  # the oldest last
        labels[np.bincount(pieces[old == label]).argmax()] = label
    bare = labels < 0
    labels[bare] = first_new + np.arange(bare.sum())
    return labels[pieces]


def _compare(before: Ints, after: Ints) -> Change:
    """What happened; rows that ``before`` does not have are new."""
    old, now = np.unique(before), np.unique(after)
    kept = after[: len(before)]
    merged, split = [], []
    for label in old.tolist():
        places, counts = np.unique(kept[before == label], return_counts=True)
        if label not in places:
            merged.append((label, int(places[counts.argmax()])))
        split += [(label, int(place)) for place in places if place != label and label in places]
    return Change(
        labels=after[len(before) :].copy(),
        opened=tuple(np.setdiff1d(now, old).tolist()),
        merged=tuple(merged),
        split=tuple(split),
    )
