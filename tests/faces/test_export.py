"""Templates as Parquet, interrupted and taken up again."""

import stat

import numpy as np
import pytest

from mien.core.errors import ContractError, IntegrityError
from mien.faces.export import EmbeddingExport, read_embeddings


@pytest.fixture(scope="module")
def outcomes(pipeline, portraits, tmp_path_factory):
    broken = tmp_path_factory.mktemp("odd") / "broken.jpg"
    broken.write_bytes(b"no picture")
    blank = np.full((200, 200, 3), 90, np.uint8)
    return list(pipeline.analyse_many([*portraits.values(), broken, blank], workers=1))


def test_rows_hold_path_number_template_and_contract(tmp_path, pipeline, portraits, outcomes):
    target = tmp_path / "faces.parquet"
    export = EmbeddingExport(target, pipeline.contract.id)
    export.add(outcomes[:3])
    export.add(outcomes[3:])
    summary = export.finish()
    table, contract = read_embeddings(target)
    assert contract == pipeline.contract.id
    assert table["path"].to_pylist() == [str(path) for path in portraits.values()]
    assert table["face"].to_pylist() == [0, 0, 0, 0]
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    assert np.array_equal(vectors[2], outcomes[2].analysis.faces.embeddings[0])
    assert (summary.pictures, summary.faces, summary.without_face) == (6, 4, 1)
    assert summary.failed[0]["error"]["code"] == "media"
    assert not export.folder.exists()


def test_an_interrupted_run_goes_on(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    EmbeddingExport(target, pipeline.contract.id).add(outcomes[:2])
    again = EmbeddingExport(target, pipeline.contract.id)
    assert again.done == {outcomes[0].source, outcomes[1].source}
    again.add([o for o in outcomes if o.source not in again.done])
    assert again.finish().faces == 4
    assert len(read_embeddings(target)[0]) == 4


def test_a_piece_without_its_log_does_not_count(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    first = EmbeddingExport(target, pipeline.contract.id)
    first.add(outcomes[:2])
    next(first.folder.glob("*.json")).unlink()
    again = EmbeddingExport(target, pipeline.contract.id)
    assert again.done == frozenset()
    again.add(outcomes[:2])
    assert again.finish().faces == 2


def test_no_faces_give_an_empty_table_that_can_be_read(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    export = EmbeddingExport(target, pipeline.contract.id)
    export.add(outcomes[5:])
    export.finish()
    table, contract = read_embeddings(target)
    assert len(table) == 0
    assert contract == pipeline.contract.id


def test_another_pipeline_may_not_go_on(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    EmbeddingExport(target, pipeline.contract.id).add(outcomes[:1])
    with pytest.raises(ContractError, match="the interrupted run used .*this one uses other"):
        EmbeddingExport(target, "other")


def test_damaged_pieces_are_named(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    export = EmbeddingExport(target, pipeline.contract.id)
    export.add(outcomes[:1])
    next(export.folder.glob("*.json")).write_text("{")
    with pytest.raises(IntegrityError, match="not a log of finished pictures; .*delete"):
        EmbeddingExport(target, pipeline.contract.id)


def test_another_file_is_not_read_as_templates(tmp_path):
    file = tmp_path / "x.parquet"
    file.write_bytes(b"PAR0 nonsense")
    with pytest.raises(IntegrityError, match="not a file of templates.*mien embed"):
        read_embeddings(file)
    with pytest.raises(IntegrityError, match="not a file of templates"):
        read_embeddings(tmp_path / "absent.parquet")


def test_columns_are_those_of_faces(tmp_path, pipeline, outcomes):
    target = tmp_path / "faces.parquet"
    export = EmbeddingExport(target, pipeline.contract.id)
    export.add(outcomes)
    export.finish()
    table, _ = read_embeddings(target)
    own = outcomes[1].analysis.faces.to_arrow()
    assert table.column_names == ["path", "face", *own.column_names]
    assert table.slice(1, 1).select(own.column_names).combine_chunks() == own.combine_chunks()


def test_what_stands_in_the_folder_is_private(tmp_path, pipeline, outcomes):
    export = EmbeddingExport(tmp_path / "faces.parquet", pipeline.contract.id)
    export.add(outcomes[:1])
    assert {stat.S_IMODE(path.stat().st_mode) for path in export.folder.iterdir()} == {0o600}
