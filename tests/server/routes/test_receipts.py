"""Receipts can be checked by whoever holds them, and what is due is deleted."""

import pytest

from toys.painted import paint


@pytest.fixture
def receipt(service, collection):
    face = service.enrol(collection, "Ada", paint(1))
    return service.ask("DELETE", f"{collection}/faces/{face['face_id']}").json()


def faults(service, collection, receipt):
    answer = service.ask("POST", f"{collection}/receipts/verify", json=receipt)
    assert answer.status_code == 200, answer.text
    return answer.json()["faults"]


def test_a_receipt_is_genuine_and_listed(service, collection, receipt):
    assert faults(service, collection, receipt) == []
    told = service.ask("GET", f"{collection}/receipts").json()
    assert told["receipts"] == [receipt]
    assert told["signer"] == receipt["signer"]


def test_a_changed_receipt_is_not_genuine(service, collection, receipt):
    (fault,) = faults(service, collection, receipt | {"at": "2020-01-01T00:00:00+00:00"})
    assert "not genuine" in fault


def test_a_receipt_of_another_collection_is_told(service, receipt):
    assert "the receipt is of another gallery" in faults(service, service.collection(), receipt)


def test_what_is_no_receipt_is_refused(service, collection, receipt):
    for body in ({}, receipt | {"number": "x"}, receipt | {"more": 1}):
        answer = service.ask("POST", f"{collection}/receipts/verify", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "input")


def test_what_is_due_is_deleted(service, collection):
    service.enrol(collection, "Ada", paint(1), retain_until="2020-01-31")
    service.enrol(collection, "Eve", paint(2), retain_until="2099-01-31")
    made = service.ask("POST", f"{collection}/expire", json={}).json()["receipt"]
    assert (made["cause"], len(made["faces"])) == ("retention", 1)
    assert service.ask("POST", f"{collection}/expire", json={}).json() == {"receipt": None}
    assert service.gallery(collection).count().faces == 1


def test_a_collection_is_proved_whole(service, collection, receipt):
    assert service.ask("POST", f"{collection}/verify").json() == {"faults": []}
