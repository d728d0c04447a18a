"""The whole application: answers never get mixed up, and nothing leaves it but what should."""

import asyncio
import io
import json

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.server.app import _limit, create_app
from mien.server.settings import ServerSettings
from mien.server.state import ServiceState
from toys.painted import NOBODY, Painted, paint
from toys.service import running_service

CLIENTS = 64


async def gather(work):
    return await asyncio.gather(*(work(k) for k in range(CLIENTS)))


def test_64_clients_that_enrol_and_search_at_once_get_their_own_answers(service, collection):
    """Each enrols somebody of their own, and asks for them, for a stranger and for nobody."""

    async def person(number):
        wrong = []
        async with service.client() as client:

            async def search(picture, expected):
                answer = await client.post(f"{collection}/search", files={"image": picture})
                faces = answer.json()["faces"]
                found = [(face["decision"], face["person"]) for face in faces]
                if found != expected:
                    wrong.append((number, found, expected))

            me, stranger = 1 + number, 1 + CLIENTS + number
            await search(paint(me, look=1), [("unknown", None)])
            made = await client.post(
                f"{collection}/faces", files={"image": paint(me)}, data={"person": f"P{me}"}
            )
            assert made.status_code == 201, made.text
            assert made.json()["person"] == f"P{me}"
            await search(paint(me, look=2), [("match", f"P{me}")])
            await search(paint(stranger), [("unknown", None)])
            await search(paint(NOBODY), [])
            await search(paint(me, look=3), [("match", f"P{me}")])
        return wrong

    wrong = [one for found in service.run(gather(person)) for one in found]
    assert wrong == []
    gallery = service.gallery(collection)
    assert (gallery.count().people, gallery.count().faces) == (CLIENTS, CLIENTS)
    assert gallery.verify() == []


def test_changes_of_many_clients_at_once_mix_nobody(service, collection):
    """Half of all people are renamed and half deleted, while all are looked for."""
    ids = {
        number: service.enrol(collection, f"P{number}", paint(number))["person_id"]
        for number in range(1, CLIENTS + 1)
    }

    async def change(k):
        number = k + 1
        url = f"{collection}/people/{ids[number]}"
        async with service.client() as client:
            if number % 2:
                changed = await client.patch(url, json={"name": f"Q{number}"})
            else:
                changed = await client.delete(url)
            assert changed.status_code == 200, changed.text
            answer = await client.post(f"{collection}/search", files={"image": paint(number, 7)})
            return number, answer.json()["faces"][0]["person"]

    for number, found in service.run(gather(change)):
        assert found == (f"Q{number}" if number % 2 else None)
    assert service.gallery(collection).count().people == CLIENTS // 2
    assert service.gallery(collection).verify() == []
    receipts = service.ask("GET", f"{collection}/receipts").json()["receipts"]
    assert len(receipts) == CLIENTS // 2


def test_portraits_searched_at_once_are_each_named_rightly(portrait_service, portraits):
    path = portrait_service.collection()
    portrait_service.enrol(path, "Obama", portraits["obama_1"].read_bytes())
    portrait_service.enrol(path, "Biden", portraits["biden_1"].read_bytes())
    names = list(portraits)

    async def search(k):
        name = names[k % len(names)]
        data = shrunk(portraits[name], 0.5 + 0.004 * k)
        async with portrait_service.client() as client:
            answer = await client.post(f"{path}/search", files={"image": data})
            (face,) = answer.json()["faces"]
            return face["decision"], face["person"], name

    for decision, person, name in portrait_service.run(gather(search)):
        assert (decision, person) == ("match", "Obama" if "obama" in name else "Biden")


def shrunk(path, scale):
    """A portrait at another size, JPEG."""
    picture = Image.open(path)
    file = io.BytesIO()
    size = round(picture.width * scale), round(picture.height * scale)
    picture.convert("RGB").resize(size).save(file, "JPEG", quality=90)
    return file.getvalue()


def test_when_too_many_wait_one_more_is_told_when_to_come_again(tmp_path):
    options = {"max_waiting": 1, "workers": 1, "batch_max": 1}
    slow = Painted()
    slow.seconds = 0.1
    with running_service(tmp_path, slow.pipeline(), **options) as busy:

        async def detect(_):
            async with busy.client() as client:
                return await client.post("/v1/detect", files={"image": paint(1)})

        answers = busy.run(gather(detect))
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["code"] == "busy"
            assert int(answer.headers["retry-after"]) >= 1


def test_a_deleted_collection_is_missing_to_those_who_still_ask(service):
    path = service.collection()
    name = path.rpartition("/")[2]
    service.enrol(path, "Ada", paint(1))

    async def ask(k):
        async with service.client() as client:
            if k == CLIENTS // 2:
                return await client.delete(f"{path}?confirm={name}")
            return await client.post(f"{path}/search", files={"image": paint(1, look=k)})

    statuses = {answer.status_code for answer in service.run(gather(ask))}
    assert statuses <= {200, 204, 404}
    assert 204 in statuses


def test_a_bug_is_answered_as_a_problem_without_its_words(service, collection, monkeypatch):
    def fail(*_, **__):
        raise KeyError("Ada Lovelace")

    monkeypatch.setattr(service.gallery(collection), "identify", fail)
    answer = service.ask("POST", f"{collection}/search", files={"image": paint(1)})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Lovelace" not in answer.text


def test_films_may_be_larger_than_pictures():
    limit = _limit(ServerSettings())
    film, picture = 512 * 2**20, 16 * 2**20
    assert limit("/v1/collections/staff/jobs") == film
    assert limit("/app/gradio_api/upload") == film
    for path in ("/v1/collections/staff/faces", "/v1/jobs", "/v1/collections/a/b/jobs", "/upload"):
        assert limit(path) == picture


def test_a_picture_beyond_the_limit_is_refused(tmp_path, painted):
    with running_service(tmp_path, painted.pipeline(), max_body_bytes=2**16) as small:
        answer = small.ask("POST", "/v1/detect", files={"image": bytes(2**17)})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        noise = np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "PNG")
        assert small.ask("POST", "/v1/detect", files={"image": file.getvalue()}).status_code == 200


def test_nothing_is_opened_before_the_start(tmp_path):
    create_app(ServerSettings(data_folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_state_that_was_opened_already_is_used_and_closed(tmp_path, painted):
    state = ServiceState.open(ServerSettings(data_folder=tmp_path), pipeline=painted.pipeline())
    app = create_app(state.settings, state=state)

    async def main():
        async with app.router.lifespan_context(app):
            assert app.state.service is state
            state.collections.create("a")

    asyncio.run(main())
    with pytest.raises(MienError):
        asyncio.run(state.batcher.analyse(paint(1)))


def test_what_is_due_at_the_start_is_deleted_then(tmp_path, painted):
    with running_service(tmp_path, painted.pipeline()) as one:
        path = one.collection()
        one.enrol(path, "Ada", paint(1), retain_until="2020-01-31")
    with running_service(tmp_path, painted.pipeline()) as again:
        for _ in range(250):
            text = again.state.audit.path.read_text()
            lines = [json.loads(line) for line in text.splitlines()]
            expired = [line for line in lines if line["action"] == "faces.expire"]
            if expired and "counts" in expired[-1]:  # written once the work is done
                break
            again.run(asyncio.sleep(0.02))
        assert again.ask("GET", path).json()["faces"] == 0
        assert (expired[-1]["counts"], expired[-1]["key"]) == ({"faces": 1}, "")


def test_addresses_are_not_sent_to_telemetry(service):
    assert not service.app._native_telemetry.enabled()
