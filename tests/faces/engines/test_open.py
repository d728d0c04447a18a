"""What holds for every provider, and how one is chosen."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from mien.core.errors import ConfigError, ExtraMissingError, IntegrityError
from mien.core.threads import available_threads
from mien.faces.engines import PROVIDERS, available_providers, open_engine
from mien.faces.engines.expand import expand_network
from toys.networks import expanded, write_detector_toy

every_provider = pytest.mark.parametrize("provider", list(PROVIDERS))


def images(count: int, height: int, width: int, seed: int = 11) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, 3, height, width)).astype(np.float32)


def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Cosine similarity row by row, in float64."""
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (one, two))
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    expand_network(write_detector_toy(folder / "toy.onnx"), folder / "expanded.onnx")
    return folder / "expanded.onnx"


@every_provider
def test_a_network_gives_what_the_literal_evaluator_gives(provider: str, toy: Path) -> None:
    batch = images(3, 8, 8) / 255
    evaluator = ReferenceEvaluator(str(toy))
    expected = dict(zip(evaluator.output_names, evaluator.run(None, {"image": batch}), strict=True))
    found = open_engine(toy, provider=provider, threads=1).run(batch)
    assert list(found) == ["boxes", "scores"]
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


@every_provider
def test_batch_and_sides_may_change_from_call_to_call(provider: str, toy: Path) -> None:
    engine = open_engine(toy, provider=provider, threads=1)
    for count, height, width in ((1, 8, 8), (5, 16, 24), (2, 8, 8)):
        batch = images(count, height, width) / 255
        together = engine.run(batch)["boxes"]
        assert together.shape == (count, height * width, 4)
        for k in range(count):
            alone = engine.run(batch[k : k + 1])["boxes"]
            np.testing.assert_allclose(together[k : k + 1], alone, rtol=1e-4, atol=1e-5)


@every_provider
def test_a_batch_need_not_lie_in_one_piece_of_memory(provider: str, toy: Path) -> None:
    engine = open_engine(toy, provider=provider, threads=1)
    wide = images(4, 16, 16) / 255
    view = wide[::2, ::-1, ::2, 4:12]
    np.testing.assert_array_equal(engine.run(view)["boxes"], engine.run(view.copy())["boxes"])


@every_provider
def test_results_and_input_are_left_alone_by_the_next_call(provider: str, toy: Path) -> None:
    engine = open_engine(toy, provider=provider, threads=1)
    first, second = images(2, 8, 8, seed=1) / 255, images(2, 8, 8, seed=2) / 255
    kept = engine.run(first)["boxes"]
    copy, given = kept.copy(), first.copy()
    assert not np.array_equal(engine.run(second)["boxes"], copy)
    np.testing.assert_array_equal(kept, copy)
    np.testing.assert_array_equal(first, given)
    kept[:] = 0  # the caller's own
    np.testing.assert_array_equal(engine.run(first)["boxes"], copy)


@every_provider
def test_calls_from_four_threads_give_what_calls_in_turn_give(provider: str) -> None:
    engine = open_engine(expanded("sface", split_prelu=False), provider=provider, threads=1)
    batches = [images(1 + k % 3, 112, 112, seed=k) for k in range(12)]
    in_turn = [engine.run(batch)["fc1"] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda batch: engine.run(batch)["fc1"], batches))
    for one, two in zip(in_turn, at_once, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@every_provider
def test_one_thread_and_two_agree(provider: str) -> None:
    file, batch = expanded("sface", split_prelu=False), images(4, 112, 112)
    engines = [open_engine(file, provider=provider, threads=n) for n in (1, 2)]
    assert [engine.threads for engine in engines] == [1, 2]
    one, two = (engine.run(batch)["fc1"] for engine in engines)
    assert cosines(one, two).min() >= 0.99999


@pytest.mark.parametrize(
    ("name", "height", "width"), [("sface", 112, 112), ("yunet", 192, 192), ("yunet", 320, 256)]
)
def test_the_providers_agree_on_the_packaged_networks(name: str, height: int, width: int) -> None:
    batch = images(3, height, width)
    plain, split = (expanded(name, split_prelu=split) for split in (False, True))
    default = open_engine(split, threads=1).run(batch)
    for file, provider in ((plain, "onnxruntime"), (plain, "openvino"), (split, "openvino")):
        other = open_engine(file, provider=provider, threads=1).run(batch)
        assert other.keys() == default.keys()
        for output, values in default.items():
            assert cosines(values, other[output]).min() >= 0.9999, (provider, output)


@every_provider
@pytest.mark.parametrize("content", [b"", b"garbage" * 50])
def test_a_file_that_is_no_network_is_refused(provider: str, content: bytes, tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    message = r"bad\.onnx cannot be loaded.*not a network that (ONNX Runtime|OpenVINO) can run.*che"
    with pytest.raises(IntegrityError, match=message):
        open_engine(tmp_path / "bad.onnx", provider=provider, threads=1)


@every_provider
def test_an_absent_file_is_refused(provider: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"none\.onnx cannot be loaded"):
        open_engine(tmp_path / "none.onnx", provider=provider, threads=1)


@every_provider
def test_the_engine_says_who_it_is(provider: str, toy: Path) -> None:
    engine = open_engine(toy, provider=provider, threads=1)
    assert (engine.provider, engine.threads) == (provider, 1)


def test_the_default_is_onnx_runtime_with_what_the_quota_allows(toy: Path) -> None:
    engine = open_engine(toy)
    assert (engine.provider, engine.threads) == ("onnxruntime", available_threads())


def test_an_unknown_provider_is_refused_with_the_known_ones(toy: Path) -> None:
    message = "provider is 'cuda'; mien knows onnxruntime, openvino; choose one.*mien doctor"
    with pytest.raises(ConfigError, match=message):
        open_engine(toy, provider="cuda")


def test_fewer_than_one_thread_is_refused(toy: Path) -> None:
    with pytest.raises(ConfigError, match="threads is 0"):
        open_engine(toy, threads=0)


def test_an_absent_provider_is_named_and_never_replaced(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without_openvino(name: str, package: str | None = None):
        if name.partition(".")[0] == "openvino":
            raise ModuleNotFoundError("No module named 'openvino'")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without_openvino)
    with pytest.raises(
        ExtraMissingError, match=r"'openvino' cannot be.*pip install 'mien\[fast\]'"
    ):
        open_engine(toy, provider="openvino", threads=1)


def test_available_providers_are_those_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_providers() == ["onnxruntime", "openvino"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "onnxruntime" or None)
    assert available_providers() == ["onnxruntime"]
