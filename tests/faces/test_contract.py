import hashlib
from dataclasses import dataclass, fields, replace

import pytest

from mien.faces import align
from mien.faces.contract import Contract, contract_of

TOY = Contract(
    detector="yunet",
    detector_fingerprint="49f000ec501fef24.1",
    aligner=1,
    embedder="sface",
    embedder_fingerprint="fb143eea07838aa5.1",
    dim=128,
)
CHANGED = {str: lambda v: v + "x", int: lambda v: v + 1}


def test_the_id_names_embedder_and_length_and_twelve_digits_of_the_hash() -> None:
    text = (
        '{"aligner": 1, "detector": "yunet", "detector_fingerprint": "49f000ec501fef24.1", '
        '"dim": 128, "embedder": "sface", "embedder_fingerprint": "fb143eea07838aa5.1"}'
    )
    assert TOY.id == f"sface-128-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def test_the_id_never_changes_for_the_same_pipeline() -> None:
    assert TOY.id == "sface-128-25cb5d03b7df"  # stored in galleries: changing it orphans them


@pytest.mark.parametrize("name", [field.name for field in fields(Contract)])
def test_whatever_changes_changes_the_id(name: str) -> None:
    value = getattr(TOY, name)
    assert replace(TOY, **{name: CHANGED[type(value)](value)}).id != TOY.id


def test_values_do_not_run_into_one_another() -> None:
    one = replace(TOY, detector="a", detector_fingerprint="bc")
    assert one.id != replace(TOY, detector="ab", detector_fingerprint="c").id


@dataclass
class Part:
    name: str
    fingerprint: str
    dim: int = 128


def test_a_contract_is_read_from_the_parts() -> None:
    contract = contract_of(Part("yunet", "49.1"), Part("sface", "fb.1"))
    assert contract == Contract("yunet", "49.1", align.CODE_VERSION, "sface", "fb.1", 128)


def test_a_new_alignment_is_a_new_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    before = contract_of(Part("yunet", "49.1"), Part("sface", "fb.1"))
    monkeypatch.setattr(align, "CODE_VERSION", align.CODE_VERSION + 1)
    assert contract_of(Part("yunet", "49.1"), Part("sface", "fb.1")).id != before.id
