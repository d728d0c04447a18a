"""Searches answer for the picture that was sent, and streams in its order."""

import asyncio
import json

import pytest

from mien.cli.identify import face_record
from mien.gallery.decide import not_comparable
from mien.gallery.gallery import Identification
from mien.server.schemas import FoundFace
from toys.painted import NOBODY, paint


@pytest.fixture
def known(service, collection):
    """A collection of three people."""
    for number in (1, 2, 3):
        service.enrol(collection, f"P{number}", paint(number))
    return collection


def search(service, path, picture, query="", **options):
    return service.ask("POST", f"{path}/search{query}", files={"image": picture}, **options)


def test_fields_are_those_of_the_command_line():
    told = face_record(Identification((0, 0, 1, 1), not_comparable(["LOW_SHARPNESS"])))
    assert told.keys() <= FoundFace.model_fields.keys()


def test_known_people_are_named_and_strangers_are_not(service, known):
    found = search(service, known, paint(2, look=1)).json()
    (face,) = found["faces"]
    assert (face["decision"], face["person"], found["faces_found"]) == ("match", "P2", 1)
    assert face["score"] >= face["threshold"]
    (face,) = search(service, known, paint(77)).json()["faces"]
    assert (face["decision"], face["person"], face["person_id"]) == ("unknown", None, None)


def test_a_picture_may_be_the_whole_body(service, known):
    for kind in ("image/png", "application/octet-stream"):
        answer = service.ask(
            "POST", f"{known}/search", content=paint(1, look=1), headers={"content-type": kind}
        )
        assert answer.json()["faces"][0]["person"] == "P1"


def test_candidates_are_for_those_who_may_enrol(service, known):
    only_search = service.key_for("search")
    assert search(service, known, paint(1)).json()["faces"][0]["candidates"][0]["person"] == "P1"
    answer = search(service, known, paint(77), key=only_search)
    assert answer.json()["faces"][0]["candidates"] is None
    assert "P1" not in answer.text


def test_a_picture_without_faces_has_an_empty_answer(service, known):
    assert search(service, known, paint(NOBODY)).json() == {"faces": [], "faces_found": 0}


@pytest.mark.parametrize("query", ["?fpir=0", "?fpir=nan", "?fpir=1", "?max_faces=0", "?keep=x"])
def test_options_out_of_range_are_refused(service, known, query):
    assert search(service, known, paint(1), query).status_code == 422


def test_a_search_without_a_picture_is_refused(service, known):
    assert service.ask("POST", f"{known}/search", json={}).status_code == 415
    assert service.ask("POST", f"{known}/search", files={"photo": paint(1)}).status_code == 422


def test_an_address_is_not_fetched_unless_that_is_allowed(service, known):
    form = {"url": (None, "https://photos.example/a.jpg")}
    refused = service.ask("POST", f"{known}/search", files=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "refused")


def test_a_fetched_picture_is_searched_like_one_that_was_sent(service, known, monkeypatch):
    asked = []

    def fetch(url):
        asked.append(url)
        return paint(3, look=1)

    monkeypatch.setattr(service.state.fetcher, "fetch", fetch)
    form = {"url": (None, "https://photos.example/a.jpg")}
    found = service.ask("POST", f"{known}/search", files=form).json()
    assert (asked, found["faces"][0]["person"]) == (["https://photos.example/a.jpg"], "P3")
    both = service.ask("POST", f"{known}/search", files=form | {"image": paint(1)})
    assert both.status_code == 422


def test_faces_are_kept_for_review_only_if_asked_for(service, known):
    search(service, known, paint(77))
    assert service.ask("GET", f"{known}/sightings").json()["sightings"] == []
    kept = search(service, known, paint(77), "?keep=true").json()["faces"][0]["sighting_id"]
    (sighting,) = service.ask("GET", f"{known}/sightings").json()["sightings"]
    assert sighting["sighting_id"] == kept
    assert search(service, known, paint(1), "?keep=1").json()["faces"][0]["sighting_id"] is None


def test_a_service_that_keeps_nothing_says_so(portrait_service, portraits):
    path = portrait_service.collection()
    refused = search(portrait_service, path, portraits["obama_1"].read_bytes(), "?keep=true")
    assert (refused.status_code, refused.json()["code"]) == (403, "refused")


def stream(service, path, pictures):
    files = [("image", (name, data, "image/png")) for name, data in pictures]
    answer = service.ask("POST", f"{path}/search/stream", files=files)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_stream_answers_in_order_and_names_errors_in_their_place(service, known):
    pictures = [(f"{k}.png", paint(1 + k % 3, look=k)) for k in range(40)]
    pictures[7] = ("broken.png", b"no picture")
    lines = stream(service, known, pictures)
    assert [line["index"] for line in lines] == list(range(40))
    assert [line["name"] for line in lines] == [name for name, _ in pictures]
    assert lines[7]["error"]["code"] == "media"
    for k, line in enumerate(lines):
        if k != 7:
            assert line["faces"][0]["person"] == f"P{1 + k % 3}"


def test_an_empty_stream_is_refused(service, known):
    files = {"image": (None, "text")}
    assert service.ask("POST", f"{known}/search/stream", files=files).status_code == 422


def test_a_stream_ends_when_the_client_goes_away(service, painted, known):
    files = [("image", (f"{k}.png", paint(1, look=k), "image/png")) for k in range(60)]
    request = service.client().build_request("POST", f"{known}/search/stream", files=files)
    lines = []

    async def talk():
        body, gone = request.read(), asyncio.Event()
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive():
            part = next(parts, None)
            if part is None:
                await gone.wait()
                return {"type": "http.disconnect"}
            return part

        async def send(message):
            if message.get("body"):
                lines.append(message["body"])
                gone.set()

        await asyncio.wait_for(service.app(scope_of(request), receive, send), 20)
        seen = painted.seen
        await asyncio.sleep(0.3)
        return seen

    before, painted.seconds = painted.seen, 0.02
    try:
        service.run(talk())
    finally:
        painted.seconds = 0.0
    assert 1 <= len(lines) < 60
    assert painted.seen - before < 60
    assert service.state.batcher.waiting == 0


def scope_of(request):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # as uvicorn says
        "method": request.method,
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "scheme": "http",
        "root_path": "",
    }
