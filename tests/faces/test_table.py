import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.core.errors import ContractError, ExtraMissingError, ShapeError
from mien.core.types import Box, HeadPose
from mien.faces.quality import COMPONENTS, QualityTable
from mien.faces.table import Face, Faces, choose_main_face

COLUMNS = ("boxes", "landmarks", "scores", "poses", "embeddings", "track_ids")


def make_faces(n: int, seed: int = 0, *, contract: str = "toy-8-abc", **changes: object) -> Faces:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (n, 2))
    values = {
        "boxes": np.hstack([corner, corner + rng.uniform(5, 50, (n, 2))]).astype(np.float32),
        "landmarks": rng.uniform(0, 100, (n, 5, 2)).astype(np.float32),
        "scores": rng.uniform(0, 1, n).astype(np.float32),
        "poses": rng.uniform(-1, 1, (n, 3)).astype(np.float32),
        "quality": QualityTable(
            rng.uniform(0, 9, (n, len(COMPONENTS))).astype(np.float32),
            rng.uniform(1, 100, (n, len(COMPONENTS))).astype(np.float32),
        ),
        "embeddings": rng.normal(size=(n, 8)).astype(np.float32),
        "contract": contract,
        "track_ids": rng.integers(0, 9, n),
        "notes": ("turned",),
    }
    return Faces(**(values | changes))


def detected_only(n: int, seed: int = 0) -> Faces:
    return make_faces(n, seed, contract="", embeddings=None, track_ids=None)


def assert_rows(faces: Faces, whole: Faces, rows: list[int]) -> None:
    """That ``faces`` is exactly those rows of ``whole``, in that order."""
    assert len(faces) == len(rows)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(faces, name), getattr(whole, name)[rows])
    np.testing.assert_array_equal(faces.quality.native, whole.quality.native[rows])
    np.testing.assert_array_equal(faces.quality.scores, whole.quality.scores[rows])
    assert faces.contract == whole.contract


@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [4, 2, 0]),
        (slice(9, 12), []),
        (np.array([True, False, False, True, False]), [0, 3]),
        ([True, False, False, True, False], [0, 3]),
        (np.zeros(5, bool), []),
        (np.array([3, 0, 3]), [3, 0, 3]),
        ([4, -5], [4, 0]),
        ([], []),
        (np.array([2]), [2]),
    ],
)
def test_a_slice_mask_or_index_gives_those_rows(which, rows: list[int]) -> None:
    whole = make_faces(5)
    assert_rows(whole[which], whole, rows)
    assert whole[which].notes == ("turned",)


@pytest.mark.parametrize("k", [1, -2, np.int64(1)])
def test_an_integer_gives_one_face(k) -> None:
    whole = make_faces(3)
    face = whole[k]
    assert isinstance(face, Face)
    assert face.box == Box(*map(float, whole.boxes[1]))
    np.testing.assert_array_equal(face.landmarks, whole.landmarks[1])
    assert face.score == float(whole.scores[1])
    assert face.quality == pytest.approx(float(whole.quality.unified[1]))
    assert face.pose == HeadPose(*map(float, whole.poses[1]))
    np.testing.assert_array_equal(face.embedding, whole.embeddings[1])
    assert face.track_id == int(whole.track_ids[1])


def test_a_row_beyond_the_last_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        make_faces(3)[3]


def test_a_face_that_was_only_detected_has_no_embedding_and_no_track() -> None:
    face = detected_only(2).row(0)
    assert (face.embedding, face.track_id) == (None, None)


def test_iterating_gives_every_face_in_order() -> None:
    whole = make_faces(4)
    assert [face.score for face in whole] == [float(score) for score in whole.scores]


def test_slicing_faces_without_embeddings_keeps_them_absent() -> None:
    part = detected_only(4)[1:3]
    assert (part.embeddings, part.track_ids, part.contract) == (None, None, "")


@pytest.mark.parametrize("name", ["boxes", "landmarks", "poses", "embeddings", "track_ids"])
def test_columns_of_different_lengths_are_refused(name: str) -> None:
    short = getattr(make_faces(3), name)[:2]
    with pytest.raises(ShapeError, match=r"columns have \[.*2.*\] rows, scores 3; every column"):
        make_faces(3, **{name: short})


def test_quality_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[3, 3, 3, 2, 3, 3\] rows, scores 3"):
        make_faces(3, quality=make_faces(2).quality)


def test_parts_are_put_under_one_another() -> None:
    whole = make_faces(6)
    again = Faces.concatenate([whole[:2], whole[2:2], whole[2:3], whole[3:]])
    assert_rows(again, whole, list(range(6)))


def test_parts_of_different_pipelines_are_refused() -> None:
    parts = [make_faces(2, contract="sface-128-a"), make_faces(1, contract="dlib-128-b")]
    message = r"come from 2 pipelines: \['dlib-128-b', 'sface-128-a'\].*cannot be compared.*embed"
    with pytest.raises(ContractError, match=message):
        Faces.concatenate(parts)


def test_a_part_without_faces_does_not_decide_about_the_pipeline() -> None:
    some = make_faces(2, contract="sface-128-a")
    joined = Faces.concatenate([make_faces(0, contract="dlib-128-b"), Faces.none(), some])
    assert_rows(joined, some, [0, 1])


def test_tracks_are_kept_only_if_every_part_has_them() -> None:
    untracked = make_faces(2, seed=1, track_ids=None)
    assert Faces.concatenate([make_faces(2), untracked]).track_ids is None


def test_nothing_joined_is_nothing() -> None:
    for parts in ([], [Faces.none()], [detected_only(0)]):
        assert len(Faces.concatenate(parts)) == 0


def test_longer_sides() -> None:
    faces = make_faces(2, boxes=np.array([[0, 0, 10, 30], [5, 5, 25, 10]], np.float32))
    np.testing.assert_array_equal(faces.sides, [30, 20])
    assert Faces.none().sides.shape == (0,)


def test_templates_and_tracks_are_added_to_a_copy() -> None:
    bare = detected_only(3)
    templates, tracks = np.ones((3, 4), np.float32), np.array([4, -1, 6])
    full = bare.with_embeddings(templates, "toy-4-x").with_tracks(tracks)
    np.testing.assert_array_equal(full.embeddings, templates)
    np.testing.assert_array_equal(full.track_ids, tracks)
    assert full.contract == "toy-4-x"
    assert bare.embeddings is None
    with pytest.raises(ShapeError, match="rows, scores 3"):
        bare.with_embeddings(templates[:2], "toy-4-x")


@pytest.mark.parametrize("n", [0, 1, 4])
def test_arrow_and_parquet_hold_every_number(n: int, tmp_path) -> None:
    faces = make_faces(n)
    pq.write_table(faces.to_arrow(), tmp_path / "faces.parquet")
    table = pq.read_table(tmp_path / "faces.parquet")
    assert table.num_rows == n
    assert table.schema.metadata[b"mien.contract"] == b"toy-8-abc"
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 8)
    assert table.schema.field("landmarks").type == pa.list_(pa.float32(), 10)
    flat = {k: table[k].combine_chunks() for k in ("landmarks", "embedding")}
    points = flat["landmarks"].flatten().to_numpy().reshape(n, 5, 2)
    np.testing.assert_array_equal(points, faces.landmarks)
    np.testing.assert_array_equal(
        flat["embedding"].flatten().to_numpy().reshape(n, 8), faces.embeddings
    )
    corners = np.array([table[k].to_numpy() for k in ("x0", "y0", "x1", "y1")]).T
    np.testing.assert_array_equal(corners, faces.boxes)
    angles = np.array([table[k].to_numpy() for k in ("yaw", "pitch", "roll")]).T
    np.testing.assert_array_equal(angles, faces.poses)
    np.testing.assert_array_equal(table["score"].to_numpy(), faces.scores)
    np.testing.assert_array_equal(table["quality"].to_numpy(), faces.quality.unified)
    np.testing.assert_array_equal(table["track_id"].to_numpy(), faces.track_ids)
    for k, name in enumerate(COMPONENTS):
        np.testing.assert_array_equal(
            table[f"quality_{name}"].to_numpy(), faces.quality.native[:, k]
        )


def test_a_slice_becomes_arrow_without_its_neighbours() -> None:
    faces = make_faces(5)
    part = faces[3:].to_arrow()
    np.testing.assert_array_equal(
        np.array(part["embedding"].to_pylist(), np.float32), faces.embeddings[3:]
    )


def test_arrow_without_templates_or_tracks_has_no_such_columns() -> None:
    table = detected_only(2).to_arrow()
    assert {"embedding", "track_id"}.isdisjoint(table.column_names)
    assert table.schema.metadata[b"mien.contract"] == b""


@pytest.mark.parametrize("n", [0, 3])
def test_pandas_holds_every_number(n: int) -> None:
    faces = make_faces(n)
    frame = faces.to_pandas()
    assert len(frame) == n
    for name, values in faces.to_columns().items():
        np.testing.assert_array_equal(frame[name].to_numpy(), values)
    for k in range(n):
        np.testing.assert_array_equal(frame["landmarks"][k], faces.landmarks[k])
        np.testing.assert_array_equal(frame["embedding"][k], faces.embeddings[k])
    assert "embedding" not in detected_only(n).to_pandas()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_supervision_holds_every_number(n: int) -> None:
    faces = make_faces(n)
    found = faces.to_supervision()
    assert len(found) == n
    np.testing.assert_array_equal(found.xyxy, faces.boxes)
    np.testing.assert_array_equal(found.confidence, faces.scores)
    np.testing.assert_array_equal(found.tracker_id, faces.track_ids)
    np.testing.assert_array_equal(found.class_id, np.zeros(n))
    np.testing.assert_array_equal(found.data["quality"], faces.quality.unified)
    np.testing.assert_array_equal(found.data["landmarks"], faces.landmarks)
    np.testing.assert_array_equal(found.data["embedding"], faces.embeddings)


def test_supervision_without_templates_and_tracks() -> None:
    found = detected_only(2).to_supervision()
    assert found.tracker_id is None
    assert "embedding" not in found.data


@pytest.mark.parametrize(
    ("method", "package"), [("to_pandas", "pandas"), ("to_supervision", "supervision")]
)
def test_a_missing_package_names_the_command(
    method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissingError, match=rf"'{package}'.*pip install 'mien\[interop\]'"):
        getattr(make_faces(1), method)()


@pytest.mark.parametrize(
    ("boxes", "row"),
    [
        ([[0, 0, 20, 20], [40, 40, 60, 60]], 1),  # the one in the middle
        ([[40, 40, 60, 60], [30, 30, 70, 70]], 1),  # the larger of two in one place
        ([[0, 0, 90, 90], [48, 48, 52, 52]], 0),  # a large one beside a speck in the middle
        ([[10, 40, 30, 60], [70, 40, 90, 60], [45, 45, 55, 60]], 2),
        ([[-30, -30, -10, -10]], 0),
    ],
)
def test_a_portrait_is_of_the_large_face_near_the_middle(boxes, row: int) -> None:
    assert choose_main_face(np.array(boxes, np.float32), (100, 100)) == row
