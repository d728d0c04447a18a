"""``mien doctor``."""


def test_the_report_names_engines_weights_and_extras(mien):
    answer = mien("doctor", "--json")
    assert answer.code == 0
    (row,) = answer.rows()
    assert row["providers"] == {"onnxruntime": True, "openvino": True}
    assert row["embedders"][:2] == ["sface", "dlib"]
    assert row["threads"] >= 1
    weights = {weight["name"]: weight for weight in row["weights"]}
    assert weights["yunet"]["available"]
    assert weights["sface"]["commercial"] == "unknown"


def test_missing_extras_come_with_their_command(mien, monkeypatch):
    from mien.core import optional

    real = optional.is_installed
    monkeypatch.setattr(optional, "is_installed", lambda name: name != "openvino" and real(name))
    answer = mien("doctor")
    assert "pip install 'mien[fast]'" in answer.out
    row = mien("doctor", "--json").rows()[0]
    assert row["extras"]["fast"] is False


def test_missing_weights_are_a_failure(mien, monkeypatch):
    from mien.core import weights

    real = weights.list_weights()
    broken = [
        type(status)(status.card, available=False, origin=None, problem="gone") for status in real
    ]
    monkeypatch.setattr(weights, "list_weights", lambda: broken)
    assert mien("doctor", "--json").code == 4
