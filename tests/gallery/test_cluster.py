"""Faces of a folder put together by person, all at once."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import ConfigError, ConflictError, RangeError, ShapeError
from mien.gallery.cluster import ClusterConfig, Links, cluster_faces
from mien.metrics.clustering import clustering_scores
from references.linkage import average_linkage
from toys.templates import draw_people


def directions(*degrees):
    """Rows of length 1 in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def groups(labels):
    """The partition, whatever its numbers."""
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def apart(n):
    return np.arange(n)


def hard_people(seed, *, n_people=8, photos=4):
    """Templates so noisy that people are mixed up, in random order, with the names' numbers."""
    rows, names = draw_people(n_people, photos, dim=16, spread=0.9, seed=seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows[order], np.unique(names, return_inverse=True)[1][order]


# What it finds


def test_well_separated_people_are_found():
    rows, names = draw_people(40, 5, dim=64, spread=0.5)
    people = np.unique(names, return_inverse=True)[1]
    found = cluster_faces(rows, apart(len(rows)))
    assert clustering_scores(people, found.labels).adjusted_rand == 1.0
    assert len(found) == 40


def test_somebody_met_once_is_a_cluster_of_one():
    found = cluster_faces(directions(0, 10, 120), apart(3))
    assert found.labels.tolist() == [0, 0, 1]
    assert found.sizes.tolist() == [2, 1]
    assert found.members(1).tolist() == [2]
    assert found.members(7).size == 0


def test_labels_count_up_by_first_face():
    found = cluster_faces(directions(200, 0, 201, 100, 1), apart(5))
    assert found.labels.tolist() == [0, 1, 0, 2, 1]
    assert found.clusters.tolist() == [0, 1, 2]


def test_no_faces_are_no_clusters():
    found = cluster_faces(np.zeros((0, 128), np.float32), [])
    assert len(found) == 0
    assert found.labels.shape == found.representatives.shape == found.cohesion.shape == (0,)


@pytest.mark.parametrize("penalty", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_average_linkage(seed, penalty):
    rows, _ = hard_people(seed)
    photos = np.random.default_rng(seed).integers(0, 12, len(rows))
    cannot = [(0, 5), (3, 9)]
    expected = average_linkage(rows, photos, 0.5, penalty, cannot)
    config = ClusterConfig(threshold=0.5, same_photo_penalty=penalty)
    found = cluster_faces(rows, photos, links=Links.of(cannot=cannot), config=config)
    assert groups(found.labels) == expected
    assert 3 < len(expected) < len(rows) - 3


@given(seed=st.integers(0, 2**20), copies=st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_order_of_the_faces_does_not_matter(seed, copies):
    rng = np.random.default_rng(seed)
    rows, _ = hard_people(seed)
    rows = np.concatenate([rows, rows[rng.integers(0, len(rows), copies)]])
    photos = rng.integers(0, 12, len(rows))
    quality = rng.uniform(20, 100, len(rows))
    order = rng.permutation(len(rows))
    plain = cluster_faces(rows, photos, quality=quality)
    shuffled = cluster_faces(rows[order], photos[order], quality=quality[order])
    back = np.empty(len(rows), np.int64)
    back[order] = shuffled.labels
    assert groups(back) == groups(plain.labels)


def test_a_few_neighbours_do_for_a_person_of_many_photos():
    rows, names = draw_people(3, 80, dim=64, spread=0.6)
    people = np.unique(names, return_inverse=True)[1]
    found = cluster_faces(rows, apart(240), config=ClusterConfig(neighbours=5))
    assert clustering_scores(people, found.labels).adjusted_rand == 1.0


def test_a_chain_of_likeness_does_not_make_one_person():
    ladder = directions(*range(0, 180, 20))
    labels = cluster_faces(ladder, apart(len(ladder)), config=ClusterConfig(threshold=0.8)).labels
    assert labels[0] != labels[-1]


# Faces of one photo


def test_faces_of_one_photo_need_more_likeness():
    faces = directions(0, 60)  # cosine 0.5
    config = ClusterConfig(threshold=0.45, same_photo_penalty=0.1)
    assert len(cluster_faces(faces, [0, 1], config=config)) == 1
    assert len(cluster_faces(faces, [0, 0], config=config)) == 2


def test_a_mirror_may_show_one_person_twice():
    faces = directions(0, 20)
    assert len(cluster_faces(faces, [0, 0])) == 1


def test_one_poster_among_many_photos_hardly_counts():
    # Ten photos of somebody and ten of the same person later; once, both looks are on a photo.
    faces = directions(*np.linspace(0, 9, 10), *np.linspace(56, 65, 10))
    config = ClusterConfig(threshold=0.5, same_photo_penalty=0.2)
    photos = np.arange(20)
    photos[10] = photos[0]
    assert len(cluster_faces(faces, photos, config=config)) == 1
    always_together = np.tile(np.arange(10), 2)
    assert len(cluster_faces(faces, always_together, config=config)) == 2


# Poor faces


def test_two_poor_faces_do_not_vouch_for_each_other():
    faces = directions(0, 40, 50)
    alone = cluster_faces(faces[:2], apart(2), quality=[30, 30])
    assert len(alone) == 2
    with_clear = cluster_faces(faces[:2], apart(2), quality=[30, 90])
    assert len(with_clear) == 1


def test_poor_copies_of_one_photo_still_find_each_other():
    assert len(cluster_faces(directions(0, 1), apart(2), quality=[30, 30])) == 1


def test_quality_of_exactly_the_limit_is_clear():
    assert len(cluster_faces(directions(0, 40), apart(2), quality=[50, 50])) == 1


# What is said about clusters


def test_the_representative_is_in_the_middle():
    found = cluster_faces(directions(0, 12, 20, 150), apart(4))
    assert found.representatives.tolist() == [1, 3]


def test_the_representative_is_of_good_quality():
    found = cluster_faces(directions(0, 12, 20), apart(3), quality=[65, 65, 95])
    assert found.representatives.tolist() == [2]


def test_cohesion_is_the_mean_cosine_of_pairs():
    faces = directions(0, 10, 30, 200)
    found = cluster_faces(faces, apart(4))
    expected = np.mean([np.cos(np.radians(angle)) for angle in (10, 30, 20)])
    np.testing.assert_allclose(found.cohesion, [expected, 1.0], atol=1e-6)


def test_a_clustering_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        cluster_faces(directions(0), [0]).labels = np.zeros(1)


# Links


def test_must_links_tie_what_is_not_alike():
    found = cluster_faces(directions(0, 90, 180), apart(3), links=Links.of(must=[(0, 2)]))
    assert found.labels.tolist() == [0, 1, 0]


def test_tied_looks_go_on_attracting_each_by_itself():
    # 0 the child, 100 the adult: an average over both would refuse the face at 110.
    faces = directions(0, 100, 2, 110, 98, 4)
    found = cluster_faces(faces, apart(6), links=Links.of(must=[(0, 1)]))
    assert len(found) == 1


def test_cannot_links_hold_against_any_likeness():
    found = cluster_faces(directions(0, 0.5, 1), apart(3), links=Links.of(cannot=[(0, 2)]))
    assert found.labels[0] != found.labels[2]
    assert len(found) == 2


def test_cannot_links_reach_through_must_links():
    links = Links.of(must=[(0, 1)], cannot=[(1, 2)])
    found = cluster_faces(directions(0, 90, 1), apart(3), links=links)
    assert found.labels.tolist() == [0, 0, 1]


@given(seed=st.integers(0, 2**20), data=st.data())
@settings(max_examples=40, deadline=None)
def test_links_that_do_not_contradict_are_always_kept(seed, data):
    rows, people = hard_people(seed)
    pair = st.tuples(st.integers(0, len(rows) - 1), st.integers(0, len(rows) - 1))
    asked = data.draw(st.lists(pair, max_size=25))
    must = [p for p in asked if people[p[0]] == people[p[1]]]
    cannot = [p for p in asked if people[p[0]] != people[p[1]]]
    labels = cluster_faces(rows, apart(len(rows)), links=Links.of(must, cannot)).labels
    assert all(labels[a] == labels[b] for a, b in must)
    assert all(labels[a] != labels[b] for a, b in cannot)


def test_contradicting_links_name_the_rows():
    links = Links.of(must=[(0, 4), (4, 2), (2, 3)], cannot=[(0, 2)])
    with pytest.raises(ConflictError, match=r"rows 0 and 2 .* \(0 - 4 - 2\)") as caught:
        cluster_faces(directions(0, 1, 2, 3, 4), apart(5), links=links)
    assert caught.value.facts["rows"] == [0, 4, 2]


def test_a_face_cannot_be_apart_from_itself():
    with pytest.raises(ConflictError, match="row 1 has a cannot-link to itself"):
        cluster_faces(directions(0, 1), apart(2), links=Links.of(cannot=[(1, 1)]))


@pytest.mark.parametrize("row", [-1, 2])
def test_links_to_no_row_are_refused(row):
    with pytest.raises(RangeError, match=rf"names row {row}; the 2 faces are rows 0 to 1"):
        cluster_faces(directions(0, 1), apart(2), links=Links.of(must=[(0, row)]))


@pytest.mark.parametrize("pairs", [[0, 1], [(0, 1, 2)], [(0.5, 1.0)]])
def test_links_that_are_no_pairs_are_refused(pairs):
    with pytest.raises(ShapeError, match="must-link pairs have shape"):
        Links.of(must=pairs)


def test_a_link_said_twice_is_kept_once():
    joined = Links.of(must=[(0, 1)]).joined(Links.of(must=[(0, 1), (2, 3)]))
    assert joined.must.tolist() == [[0, 1], [2, 3]]


# What is refused


@pytest.mark.parametrize(
    ("templates", "match"),
    [
        (np.zeros(4), r"templates have shape \(4,\)"),
        (np.zeros((2, 0)), r"templates have shape \(2, 0\)"),
        (np.ones((2, 1), int), "type int64"),
    ],
)
def test_templates_of_the_wrong_shape_are_refused(templates, match):
    with pytest.raises(ShapeError, match=match):
        cluster_faces(templates, apart(len(templates)))


@pytest.mark.parametrize("length", [0.0, 1.01, np.nan, np.inf])
def test_templates_not_of_length_one_are_refused(length):
    faces = directions(0, 1, 2).astype(np.float64)
    faces[1] = [length, 0]
    with pytest.raises(RangeError, match=rf"in row 1 has length {length:.4g}"):
        cluster_faces(faces, apart(3))


@pytest.mark.parametrize("photos", [[0], [0.0, 1.0], ["a", "b"], [[0], [1]]])
def test_photos_that_do_not_number_the_faces_are_refused(photos):
    with pytest.raises(ShapeError, match="photos has shape"):
        cluster_faces(directions(0, 1), photos)


@pytest.mark.parametrize("quality", [[50, 101], [-1, 50], [np.nan, 50]])
def test_quality_beyond_its_scale_is_refused(quality):
    with pytest.raises(RangeError, match="quality lies in 0-100"):
        cluster_faces(directions(0, 1), apart(2), quality=quality)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 1.1),
        ("threshold", float("nan")),
        ("same_photo_penalty", -0.1),
        ("clear_quality", 101.0),
        ("neighbours", 0),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        ClusterConfig(**{name: value})
