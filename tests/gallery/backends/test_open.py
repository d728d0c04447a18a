"""Galleries by URL."""

import pytest

from contracts.gallery_index import DIM, crowd, unit
from mien.core.errors import ConfigError, ConflictError, ContractError, MissingError, StorageError
from mien.gallery.backends.milvus import MilvusIndex
from mien.gallery.backends.open import create_index, open_index
from mien.gallery.backends.postgres import PostgresIndex
from mien.gallery.index import Count


@pytest.fixture(params=["milvus", "postgres"])
def url(request, tmp_path, postgres):
    """A URL at which there is nothing yet."""
    if request.param == "milvus":
        return f"milvus+file://{tmp_path}/with%20blank.db#by_url"
    postgres.run("DROP TABLE IF EXISTS by_url")
    return f"{postgres.address}#by_url"


def test_what_was_made_by_url_is_opened_by_it(url):
    with pytest.raises(MissingError, match="no gallery at"):
        open_index(url)
    index = create_index(url, "toy", DIM, ann="hnsw")
    index.upsert(crowd(3))
    index.close()
    again = open_index(url, contract="toy")
    assert isinstance(again, MilvusIndex if url.startswith("milvus") else PostgresIndex)
    assert (again.count(), again.dim, again.ann) == (Count(3, 3), DIM, "hnsw")
    assert again.search(unit(2)[None], 1)[0][0].face_id == "f2"
    again.close()
    with pytest.raises(ConflictError, match="exists"):
        create_index(url, "toy", DIM)


def test_another_contract_is_refused(url):
    create_index(url, "toy", DIM).close()
    with pytest.raises(ContractError, match="templates of toy, not of other; .*two pipelines"):
        open_index(url, contract="other")
    open_index(url).close()


def test_a_path_may_hold_blanks(tmp_path):
    create_index(f"milvus+file://{tmp_path}/with%20blank.db#faces", "toy", DIM).close()
    assert (tmp_path / "with blank.db").is_dir()


def test_a_milvus_server_by_url(tmp_path):
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(tmp_path / "data"))
    url = f"milvus+http://ann:secret@127.0.0.1:{port}/#faces"
    create_index(url, "toy", DIM).close()
    index = open_index(url)
    index.upsert(crowd(2))
    assert index.count() == Count(2, 2)
    assert index.place == f"http://127.0.0.1:{port}/#faces"
    index.close()
    server.stop(grace=0).wait()
    database.close()


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "postgres", "milvus", "http"])
def test_an_unknown_scheme_is_answered_with_the_known_ones(scheme):
    words = rf"scheme of the gallery's URL is '{scheme}'; mien knows milvus\+file, .*postgresql"
    with pytest.raises(ConfigError, match=words):
        open_index(f"{scheme}://ann:hunter2@host/db#faces")


@pytest.mark.parametrize(
    "url",
    [
        "faces.db",
        "",
        "postgresql://ann:hunter2@host/db",
        "milvus+file://relative.db#faces",
        "milvus+file:///tmp/faces.sqlite#faces",
        "milvus+http://#faces",
        "postgresql://ann:hunter2@host/db#faces;drop",
        "postgresql://ann:hunter2@host:port:/db?x#faces",
        "milvus+http://ann:hunter2@host:port/#faces",
        "://ann:hunter2#x",
        "ann:hunter2://x#y",
    ],
)
def test_urls_that_are_not_complete_are_refused_without_their_passwords(url):
    with pytest.raises(ConfigError) as caught:
        open_index(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_may_hold_the_sign_before_the_name(tmp_path):
    with pytest.raises(StorageError) as caught:
        open_index(f"postgresql://ann:hun%23ter2@/db?host={tmp_path}#faces")
    assert "ter2" not in str(caught.value)
