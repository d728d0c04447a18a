"""Small ONNX networks, and the packaged ones rewritten as `faces.engines.expand` does."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.faces.engines.packaged import packaged_network

OPSET = 21


def write_network(path, nodes, weights, inputs, outputs):
    """Write a graph; ``inputs`` and ``outputs`` map names to shapes of float32."""
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def quantised(rng, name, shape, block, axis=1):
    """Weights of a block-quantised matrix: int8 values, and a scale and zero point a block."""
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // block)
    return {
        f"{name}_q": rng.integers(-128, 128, shape, np.int8),
        f"{name}_s": rng.uniform(0.0002, 0.002, blocks).astype(np.float32),
        f"{name}_z": rng.integers(-20, 20, blocks, np.int8),
    }


def dequantise(name, **attributes):
    """The node that restores such a matrix under the name itself."""
    parts = [f"{name}_q", f"{name}_s", f"{name}_z"]
    return helper.make_node("DequantizeLinear", parts, [name], **attributes)


def write_detector_toy(path, seed=0, side=8):
    """Like YuNet: blocks, a depthwise convolution, PReLU, and a head flattened to (1, n, k)."""
    rng = np.random.default_rng(seed)
    weights = quantised(rng, "first_flat", (6, 27), 9) | quantised(rng, "head_flat", (4, 6), 4)
    weights |= {
        "first_shape": np.array([6, 3, 3, 3]),
        "head_shape": np.array([4, 6, 1, 1]),
        "deep_q": rng.integers(-128, 128, (6, 1, 3, 3), np.int8),
        "deep_s": rng.uniform(0.0002, 0.002, 6).astype(np.float32),
        "deep_z": rng.integers(-20, 20, 6, np.int8),
        "slope": rng.uniform(-0.5, 1.5, (6, 1, 1)).astype(np.float32),
        "rows": np.array([1, -1, 4]),
    }
    nodes = [
        dequantise("first_flat", block_size=9, axis=1),
        helper.make_node("Reshape", ["first_flat", "first_shape"], ["first"]),
        helper.make_node("Conv", ["image", "first"], ["a"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("PRelu", ["a", "slope"], ["b"]),
        dequantise("deep", axis=0),
        helper.make_node("Conv", ["b", "deep"], ["c"], pads=[1, 1, 1, 1], group=6),
        dequantise("head_flat", block_size=4, axis=1),
        helper.make_node("Reshape", ["head_flat", "head_shape"], ["head"]),
        helper.make_node("Conv", ["c", "head"], ["d"]),
        helper.make_node("Transpose", ["d"], ["e"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["e", "rows"], ["boxes"]),
        helper.make_node("Sigmoid", ["boxes"], ["scores"]),
    ]
    shape = [1, side * side, 4]
    outputs = {"boxes": shape, "scores": shape}
    return write_network(path, nodes, weights, {"image": [1, 3, side, side]}, outputs)


def write_embedder_toy(path, seed=0):
    """Like SFace: weights that are inputs too, PReLU, and a dense end of (1, d)."""
    rng = np.random.default_rng(seed)
    weights = quantised(rng, "dense", (5, 6 * 64), 64)
    weights |= {
        "first": rng.normal(size=(6, 3, 3, 3)).astype(np.float32),
        "slope": rng.uniform(-0.5, 1.5, (6, 1, 1)).astype(np.float32),
        "half": np.array([127.5], np.float32),
    }
    weights |= {
        k.replace("dense", "bias"): v for k, v in quantised(rng, "dense", (5,), 2, 0).items()
    }
    nodes = [
        helper.make_node("Sub", ["image", "half"], ["z"]),
        helper.make_node("Conv", ["z", "first"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["a", "slope"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        dequantise("dense", block_size=64, axis=1),
        dequantise("bias", block_size=2, axis=0),
        helper.make_node("Gemm", ["c", "dense", "bias"], ["template"], transB=1),
    ]
    inputs = {"image": [1, 3, 8, 8], "half": [1]}
    return write_network(path, nodes, weights, inputs, {"template": [1, 5]})


def expanded(name: str, *, split_prelu: bool) -> Path:
    """A packaged network, rewritten once a session."""
    provider = "onnxruntime" if split_prelu else "openvino"
    return packaged_network(name, provider=provider)[0]
