"""A rewritten network computes what the original does, for any batch and picture size."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mien.core.errors import IntegrityError
from mien.core.weights import resolve_weights
from mien.faces.engines.expand import expand_network
from mien.faces.engines.onnx_runtime import OnnxRuntimeEngine
from toys.networks import (
    dequantise,
    expanded,
    quantised,
    write_detector_toy,
    write_embedder_toy,
    write_network,
)

TOYS = {"detector": write_detector_toy, "embedder": write_embedder_toy}


def reference(path: Path, batch: np.ndarray) -> dict[str, np.ndarray]:
    """The original graph by ONNX's own literal evaluator, one picture at a time."""
    evaluator = ReferenceEvaluator(str(path))
    singles = [evaluator.run(None, {"image": batch[k : k + 1]}) for k in range(len(batch))]
    return {
        name: np.concatenate([single[k] for single in singles])
        for k, name in enumerate(evaluator.output_names)
    }


def run_expanded(source: Path, batch: np.ndarray, *, split_prelu: bool) -> dict[str, np.ndarray]:
    target = source.with_name("expanded.onnx")
    expand_network(source, target, split_prelu=split_prelu)
    return OnnxRuntimeEngine(target, threads=1).run(batch)


def assert_equal_outputs(found: dict, expected: dict, rtol: float = 1e-4) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(found[name], values, rtol=rtol, atol=rtol * scale, err_msg=name)


def images(count: int, height: int = 8, width: int = 8) -> np.ndarray:
    rng = np.random.default_rng(11)
    return rng.uniform(0, 1, (count, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("split_prelu", [False, True])
@pytest.mark.parametrize("name", list(TOYS))
def test_a_batch_gives_what_the_original_gives_one_by_one(
    name: str, split_prelu: bool, tmp_path: Path
) -> None:
    source = TOYS[name](tmp_path / "toy.onnx", seed=3)
    found = run_expanded(source, images(4), split_prelu=split_prelu)
    assert_equal_outputs(found, reference(source, images(4)))


@pytest.mark.parametrize("split_prelu", [False, True])
def test_a_convolutional_network_takes_pictures_of_any_size(
    split_prelu: bool, tmp_path: Path
) -> None:
    source = write_detector_toy(tmp_path / "toy.onnx", seed=3)
    found = run_expanded(source, images(2, 12, 20), split_prelu=split_prelu)
    assert found["boxes"].shape == (2, 240, 4)
    assert_equal_outputs(found, reference(source, images(2, 12, 20)))


def test_the_declared_shapes_say_what_is_free(tmp_path: Path) -> None:
    def shapes(values) -> dict[str, list[str | int]]:
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    for name, write in TOYS.items():
        expand_network(write(tmp_path / "toy.onnx"), tmp_path / f"{name}.onnx")
    detector = onnx.load(str(tmp_path / "detector.onnx")).graph
    assert shapes(detector.input) == {"image": ["b", 3, "h", "w"]}
    assert shapes(detector.output) == {
        "boxes": ["b", "n_boxes", 4],
        "scores": ["b", "n_scores", 4],
    }
    embedder = onnx.load(str(tmp_path / "embedder.onnx")).graph
    assert shapes(embedder.input) == {"image": ["b", 3, 8, 8]}
    assert shapes(embedder.output) == {"template": ["b", 5]}


@pytest.mark.parametrize("name", list(TOYS))
def test_nothing_quantised_and_nothing_unused_is_left(name: str, tmp_path: Path) -> None:
    expand_network(TOYS[name](tmp_path / "toy.onnx"), tmp_path / "out.onnx", split_prelu=True)
    model = onnx.load(str(tmp_path / "out.onnx"))
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds.isdisjoint({"DequantizeLinear", "PRelu"})
    used = {name for node in model.graph.node for name in node.input}
    assert {weight.name for weight in model.graph.initializer} <= used
    kinds = {weight.data_type for weight in model.graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


DEQUANTISED = {
    "blocks along the columns": ((4, 10), {"block_size": 5, "axis": 1}, (4, 2)),
    "a last block that is short": ((4, 10), {"block_size": 4, "axis": 1}, (4, 3)),
    "blocks along the rows": ((6, 5), {"block_size": 3, "axis": 0}, (2, 5)),
    "an axis counted from the end": ((4, 10), {"block_size": 5, "axis": -1}, (4, 2)),
    "one scale a row": ((4, 10), {"axis": 0}, (4,)),
    "one scale a row, counted from the end": ((4, 10), {"axis": -2}, (4,)),
    "one scale a column, the default": ((4, 10), {}, (10,)),
    "one scale for all": ((4, 10), {}, ()),
}


@pytest.mark.parametrize("has_zero", [True, False], ids=["zero point", "no zero point"])
@pytest.mark.parametrize("kind", list(DEQUANTISED))
def test_every_kind_of_quantisation_is_restored(kind: str, has_zero: bool, tmp_path: Path) -> None:
    shape, attributes, scales = DEQUANTISED[kind]
    rng = np.random.default_rng(2)
    weights = {
        "w_q": rng.integers(0, 256, shape, np.uint8),
        "w_s": rng.uniform(0.01, 0.1, scales).astype(np.float32),
        "w_z": rng.integers(0, 256, scales).astype(np.uint8),
        "flat": np.array([1, -1]),
    }
    node = dequantise("w", **attributes)
    if not has_zero:
        node.input.pop()
    size = int(np.prod(shape))
    nodes = [
        node,
        helper.make_node("Reshape", ["image", "flat"], ["x"]),
        helper.make_node("Reshape", ["w", "flat"], ["row"]),
        helper.make_node("Mul", ["x", "row"], ["y"]),
    ]
    source = write_network(
        tmp_path / "toy.onnx", nodes, weights, {"image": [1, 1, 1, size]}, {"y": [1, size]}
    )
    batch = np.ones((1, 1, 1, size), np.float32)
    found = run_expanded(source, batch, split_prelu=False)
    assert_equal_outputs(found, reference(source, batch), rtol=1e-6)


def test_a_reshape_of_weights_may_keep_and_infer_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    weights = quantised(rng, "w", (6, 27), 9) | {"shape": np.array([0, 3, -1, 3])}
    nodes = [
        dequantise("w", block_size=9, axis=1),
        helper.make_node("Reshape", ["w", "shape"], ["kernel"]),
        helper.make_node("Conv", ["image", "kernel"], ["y"]),
    ]
    source = write_network(
        tmp_path / "toy.onnx", nodes, weights, {"image": [1, 3, 8, 8]}, {"y": [1, 6, 6, 6]}
    )
    found = run_expanded(source, images(3), split_prelu=False)
    assert_equal_outputs(found, reference(source, images(3)))


@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1), (1, 1, 1), (1,), (6, 8, 8), (8,)])
def test_prelu_with_slopes_of_any_shape_stays_correct(shape: tuple[int, ...], tmp_path) -> None:
    rng = np.random.default_rng(5)
    weights = {
        "kernel": rng.normal(size=(6, 3, 1, 1)).astype(np.float32),
        "slope": rng.uniform(-1, 1, shape).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["a"]),
        helper.make_node("PRelu", ["a", "slope"], ["y"]),
    ]
    source = write_network(
        tmp_path / "toy.onnx", nodes, weights, {"image": [1, 3, 8, 8]}, {"y": [1, 6, 8, 8]}
    )
    batch = images(2) - np.float32(0.5)
    found = run_expanded(source, batch, split_prelu=True)
    assert_equal_outputs(found, reference(source, batch))


def test_slopes_shared_by_two_layers_are_split_twice(tmp_path: Path) -> None:
    weights = {"slope": np.array([0.2, -0.3, 1.4], np.float32).reshape(3, 1, 1)}
    nodes = [
        helper.make_node("PRelu", ["image", "slope"], ["a"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("PRelu", ["b", "slope"], ["y"]),
    ]
    source = write_network(
        tmp_path / "toy.onnx", nodes, weights, {"image": [1, 3, 8, 8]}, {"y": [1, 3, 8, 8]}
    )
    batch = images(2) - np.float32(0.5)
    found = run_expanded(source, batch, split_prelu=True)
    assert_equal_outputs(found, reference(source, batch))


@pytest.mark.parametrize("split_prelu", [False, True])
def test_sface_rewritten_equals_sface(split_prelu: bool) -> None:
    batch = 255 * images(2, 112, 112)
    engine = OnnxRuntimeEngine(expanded("sface", split_prelu=split_prelu), threads=1)
    original = ReferenceEvaluator(str(resolve_weights("sface").path))
    expected = {"fc1": np.concatenate([original.run(None, {"data": x[None]})[0] for x in batch])}
    assert_equal_outputs(engine.run(batch), expected)


@pytest.mark.parametrize("split_prelu", [False, True])
def test_yunet_rewritten_equals_yunet(split_prelu: bool) -> None:
    batch = 255 * images(2, 640, 640)
    engine = OnnxRuntimeEngine(expanded("yunet", split_prelu=split_prelu), threads=1)
    original = cv2.dnn.readNetFromONNX(str(resolve_weights("yunet").path))
    names = original.getUnconnectedOutLayersNames()
    singles = []
    for picture in batch:
        original.setInput(picture[None])
        singles.append(original.forward(names))
    expected = {name: np.concatenate(rows) for name, *rows in zip(names, *singles, strict=True)}
    assert_equal_outputs(engine.run(batch), expected, rtol=1e-3)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x07" + bytes(100)])
def test_a_file_that_is_no_network_is_refused_and_nothing_written(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"bad\.onnx is not a readable ONNX network.*again"):
        expand_network(tmp_path / "bad.onnx", tmp_path / "out.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.onnx"]


def test_half_a_network_is_refused(tmp_path: Path) -> None:
    whole = write_detector_toy(tmp_path / "toy.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match=r"half\.onnx is not a readable ONNX network"):
        expand_network(tmp_path / "half.onnx", tmp_path / "out.onnx")


def test_rewriting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_embedder_toy(tmp_path / "toy.onnx")
    for name in ("one", "two"):
        expand_network(source, tmp_path / name, split_prelu=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    weights = onnx.load(str(tmp_path / "one")).graph.initializer
    assert all(np.isfinite(numpy_helper.to_array(weight)).all() for weight in weights)
