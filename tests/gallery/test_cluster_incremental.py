"""Clusters that grow: labels that stay, corrections that hold, a state that can be kept."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import (
    ConflictError,
    ContractError,
    IntegrityError,
    RangeError,
    ShapeError,
)
from mien.gallery.cluster import ClusterConfig, IncrementalClusters, Links, cluster_faces
from mien.metrics.clustering import clustering_scores
from toys.templates import draw_people


def directions(*degrees):
    """Rows of length 1 in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def grown(*degrees, **options):
    """Clusters of one face after another, each on a photo of its own."""
    clusters = IncrementalClusters(**options)
    for photo, degree in enumerate(degrees):
        clusters.add(directions(degree), [photo])
    return clusters


def labels_of(clusters):
    return clusters.clustering().labels.tolist()


def drawn(seed, *, n_people=12, photos=5, spread=0.9, dim=24):
    rows, names = draw_people(n_people, photos, dim=dim, spread=spread, seed=seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order], np.unique(names, return_inverse=True)[1][order]


def saved_and_loaded(clusters, **options):
    file = io.BytesIO()
    np.savez(file, **clusters.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return IncrementalClusters.from_arrays(arrays, **options)


# Growing


@pytest.mark.parametrize("seed", range(5))
def test_adding_all_at_once_is_clustering_at_once(seed):
    rows, _ = drawn(seed)
    photos = np.random.default_rng(seed).integers(0, 40, len(rows))
    quality = np.random.default_rng(seed).uniform(30, 100, len(rows))
    clusters = IncrementalClusters()
    change = clusters.add(rows, photos, quality=quality)
    expected = cluster_faces(rows, photos, quality=quality)
    assert labels_of(clusters) == expected.labels.tolist()
    assert change.labels.tolist() == expected.labels.tolist()
    assert change.opened == tuple(range(len(expected)))
    assert change.merged == change.split == ()


def test_adding_in_pieces_comes_close_to_at_once():
    rows, people = drawn(0, n_people=60, spread=0.75, dim=64)
    clusters = IncrementalClusters()
    for piece in np.array_split(np.arange(len(rows)), 10):
        clusters.add(rows[piece], piece)
    at_once = clustering_scores(people, cluster_faces(rows, np.arange(len(rows))).labels)
    in_pieces = clustering_scores(people, clusters.clustering().labels)
    assert in_pieces.bcubed.f1 > at_once.bcubed.f1 - 0.02
    assert at_once.bcubed.f1 > 0.95


def test_new_faces_join_old_clusters_or_open_new_ones():
    clusters = grown(0, 100)
    change = clusters.add(directions(3, 200, 98, 201), [2, 3, 4, 5])
    assert change.labels.tolist() == [0, 2, 1, 2]
    assert change.opened == (2,)
    assert change.merged == ()


def test_a_face_in_between_merges_two_clusters_into_the_older():
    clusters = grown(70, 0)
    assert labels_of(clusters) == [0, 1]
    change = clusters.add(directions(35, 36), [2, 3])
    assert change.merged == ((1, 0),)
    assert labels_of(clusters) == [0, 0, 0, 0]


def test_labels_of_the_gone_are_not_used_again():
    clusters = grown(70, 0)
    clusters.add(directions(35, 36), [2, 3])
    assert clusters.add(directions(200), [4]).opened == (2,)


@given(seed=st.integers(0, 2**20), pieces=st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_labels_change_only_by_reported_merges(seed, pieces):
    rows, _ = drawn(seed)
    clusters = IncrementalClusters()
    for piece in np.array_split(np.arange(len(rows)), pieces):
        before = clusters.clustering().labels
        change = clusters.add(rows[piece], piece)
        after = clusters.clustering().labels
        became = dict(change.merged)
        assert [became.get(label, label) for label in before.tolist()] == after[
            : len(before)
        ].tolist()
        assert all(kept < gone for gone, kept in change.merged)
        assert set(after.tolist()) - set(before.tolist()) == set(change.opened)
        assert change.labels.tolist() == after[len(before) :].tolist()
        assert change.split == ()


def test_the_order_within_a_piece_does_not_matter():
    rows, _ = drawn(3)
    order = np.random.default_rng(1).permutation(30)
    one, other = IncrementalClusters(), IncrementalClusters()
    one.add(rows[30:], np.arange(30, len(rows)))
    other.add(rows[30:], np.arange(30, len(rows)))
    first = one.add(rows[:30], np.arange(30))
    second = other.add(rows[:30][order], np.arange(30)[order])
    same = first.labels[order][:, None] == first.labels[order]
    assert (same == (second.labels[:, None] == second.labels)).all()


def test_a_photo_may_come_in_two_calls():
    config = ClusterConfig(threshold=0.45, same_photo_penalty=0.1)
    clusters = IncrementalClusters(config)
    clusters.add(directions(0), [7])
    assert clusters.add(directions(60), [7]).opened == (1,)
    assert clusters.add(directions(-60), [8]).opened == ()


def test_no_faces_change_nothing():
    clusters = grown(0, 100)
    change = clusters.add(np.zeros((0, 2), np.float32), [])
    assert change.labels.size == 0
    assert (change.opened, change.merged, change.split) == ((), (), ())
    assert labels_of(clusters) == [0, 1]


def test_empty_clusters_can_be_asked():
    clusters = IncrementalClusters()
    assert len(clusters) == len(clusters.clustering()) == 0
    assert clusters.rebuild().opened == ()
    assert clusters.link(Links.of()).opened == ()


def test_templates_of_another_length_change_nothing():
    clusters = grown(0)
    with pytest.raises(ShapeError, match="new templates have 3 numbers; the 1 before have 2"):
        clusters.add(np.eye(3, dtype=np.float32), [1, 2, 3])
    assert len(clusters) == 1


# Corrections


def test_a_must_link_keeps_the_older_label():
    clusters = grown(0, 100, 200)
    change = clusters.link(Links.of(must=[(2, 1)]))
    assert change.merged == ((2, 1),)
    assert labels_of(clusters) == [0, 1, 1]


def test_either_look_of_a_tied_person_attracts_new_faces():
    clusters = grown(0, 100)
    clusters.link(Links.of(must=[(0, 1)]))
    assert clusters.add(directions(3, 103, 110), [2, 3, 4]).labels.tolist() == [0, 0, 0]


def test_a_cannot_link_divides_and_the_larger_piece_keeps_the_label():
    clusters = grown(0, 2, 4, 30, 32)
    assert labels_of(clusters) == [0] * 5
    change = clusters.link(Links.of(cannot=[(0, 4)]))
    assert labels_of(clusters) == [0, 0, 0, 1, 1]
    assert change.split == ((0, 1),)
    assert change.opened == (1,)
    assert change.merged == ()


def test_divided_clusters_do_not_grow_together_again():
    clusters = grown(0, 2, 4, 30, 32)
    clusters.link(Links.of(cannot=[(0, 4)]))
    change = clusters.add(directions(*range(5, 30)), np.arange(5, 30))
    labels = labels_of(clusters)
    assert change.merged == ()
    assert labels[0] != labels[4]
    assert len(set(labels)) == 2


def test_a_wrong_face_goes_where_it_belongs():
    clusters = IncrementalClusters()
    clusters.add(directions(0, 40), [0, 1])
    clusters.add(directions(82, 85), [2, 3])
    assert labels_of(clusters) == [0, 0, 1, 1]
    change = clusters.link(Links.of(cannot=[(0, 1)]))
    assert labels_of(clusters) == [0, 1, 1, 1]
    assert change.split == ((0, 1),)


def test_a_must_link_across_a_cannot_link_moves_single_faces():
    # The machine put 0, 2 together and 100, 102; the user says 0 is 100, but 2 is not 102.
    clusters = grown(0, 2, 100, 102)
    clusters.link(Links.of(cannot=[(1, 3)]))
    clusters.link(Links.of(must=[(0, 2)]))
    labels = labels_of(clusters)
    assert labels[0] == labels[2]
    assert labels[1] != labels[3]
    assert len(set(labels)) == 2


def test_contradicting_an_earlier_correction_changes_nothing():
    clusters = grown(0, 100, 200)
    clusters.link(Links.of(must=[(0, 1), (1, 2)]))
    with pytest.raises(ConflictError, match=r"rows 0 and 2 .* \(0 - 1 - 2\)"):
        clusters.link(Links.of(cannot=[(0, 2)]))
    assert clusters.links.cannot.size == 0
    assert labels_of(clusters) == [0, 0, 0]


def test_links_to_faces_not_yet_added_change_nothing():
    clusters = grown(0, 100)
    with pytest.raises(RangeError, match="names row 2"):
        clusters.link(Links.of(must=[(0, 2)]))
    assert clusters.links.must.size == 0


def test_saying_it_twice_changes_nothing():
    clusters = grown(0, 2, 100)
    links = Links.of(must=[(0, 2)], cannot=[(0, 1)])
    clusters.link(links)
    before = labels_of(clusters)
    change = clusters.link(links)
    assert (change.opened, change.merged, change.split) == ((), (), ())
    assert labels_of(clusters) == before
    assert len(clusters.links.must) == len(clusters.links.cannot) == 1


@given(seed=st.integers(0, 2**20), data=st.data())
@settings(max_examples=30, deadline=None)
def test_corrections_hold_for_ever(seed, data):
    rows, people = drawn(seed, n_people=6, photos=5, dim=12)
    clusters = IncrementalClusters()
    said = []
    for piece in np.array_split(np.arange(len(rows)), 4):
        clusters.add(rows[piece], piece)
        row = st.integers(0, len(clusters) - 1)
        new = data.draw(st.lists(st.tuples(row, row), max_size=6))
        said += new
        clusters.link(
            Links.of(
                [p for p in new if people[p[0]] == people[p[1]]],
                [p for p in new if people[p[0]] != people[p[1]]],
            )
        )
        if data.draw(st.booleans()):
            clusters.rebuild()
        clusters = saved_and_loaded(clusters)
        labels = labels_of(clusters)
        assert all((labels[a] == labels[b]) == (people[a] == people[b]) for a, b in said)


# Rebuilding


def test_rebuilding_comes_to_what_all_at_once_would_be():
    rows, _ = drawn(5)
    clusters = IncrementalClusters()
    for row in range(len(rows)):
        clusters.add(rows[row : row + 1], [row])
    clusters.rebuild()
    expected = cluster_faces(rows, np.arange(len(rows))).labels
    labels = clusters.clustering().labels
    assert clustering_scores(expected, labels).adjusted_rand == 1.0


def test_rebuilding_reports_who_moved_and_keeps_most_labels():
    # 0 and 55 met first; with 92, 94 and 90 there, 55 is nearer to those.
    clusters = grown(0, 55, 92, 94, 90)
    assert labels_of(clusters) == [0, 0, 1, 1, 1]
    change = clusters.rebuild()
    assert labels_of(clusters) == [0, 1, 1, 1, 1]
    assert change.split == ((0, 1),)
    assert change.opened == change.merged == ()


# Keeping


def test_a_loaded_state_goes_on_as_if_never_stored():
    rows, _ = drawn(2)
    first, rest = np.arange(25), np.arange(25, len(rows))
    clusters = IncrementalClusters(ClusterConfig(threshold=0.5), contract="abc")
    clusters.add(rows[first], first)
    clusters.link(Links.of(must=[(0, 1)], cannot=[(2, 3)]))
    again = saved_and_loaded(clusters, contract="abc")
    assert again.config == clusters.config
    assert again.contract == "abc"
    one, other = clusters.add(rows[rest], rest), again.add(rows[rest], rest)
    assert one.labels.tolist() == other.labels.tolist()
    assert (one.opened, one.merged) == (other.opened, other.merged)
    assert labels_of(clusters) == labels_of(again)


def test_an_empty_state_can_be_stored():
    again = saved_and_loaded(IncrementalClusters())
    assert again.add(directions(0), [0]).opened == (0,)


def test_another_pipelines_clusters_are_refused():
    clusters = grown(0, contract="yunet+sface")
    with pytest.raises(ContractError, match="'yunet\\+sface', not of 'yunet\\+dlib'"):
        saved_and_loaded(clusters, contract="yunet+dlib")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("schema", np.array("mien.clusters/9"), "schema is 'mien.clusters/9'"),
        ("labels", np.array([0]), "3 faces have 1 labels"),
        ("labels", np.array([0, 0, 9]), "a label was never given"),
        ("labels", np.array([0.0, 0.0, 1.0]), "type float64"),
        ("labels", np.array([0, 1, 1]), "a part lies in two clusters"),
        ("parts", np.array([0, 0, 3]), "a row is named"),
        ("candidates", np.array([[0, 7]]), "a row is named"),
        ("candidates", np.array([0, 1]), r"candidates have shape \(2,\)"),
        ("must", np.array([[0, 3]]), "names row 3"),
        ("cannot", np.array([[1, 1]]), "cannot-link to itself"),
        ("vectors", np.zeros((3, 2), np.float32), "has length 0"),
        ("settings", np.array([0.5]), "not enough values"),
        ("settings", np.array([7.0, 0.1, 60, 100]), "threshold is 7"),
    ],
)
def test_a_damaged_state_is_refused(name, value, match):
    arrays = grown(0, 1, 100).to_arrays()
    with pytest.raises(IntegrityError, match=match):
        IncrementalClusters.from_arrays(arrays | {name: value})


def test_a_state_with_a_missing_array_is_refused():
    arrays = grown(0, 1).to_arrays()
    del arrays["photos"]
    with pytest.raises(IntegrityError, match="photos"):
        IncrementalClusters.from_arrays(arrays)
