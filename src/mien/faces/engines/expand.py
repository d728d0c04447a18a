"""Packaged networks rewritten for speed, once, into files of the weight cache.

The packaged YuNet and SFace store their weights block-quantised (int8 with a scale per block) and
for a batch of one. `expand_network` restores float32 weights and a free batch axis. For ONNX
Runtime it also rewrites PReLU: the runtime's fast blocked layout knows no PReLU and would leave
and re-enter the layout around each of SFace's 27, which makes it about 2.7 times slower
(`python -m benchmarks.engines`). The values stay the same to float rounding.
"""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mien.core.errors import IntegrityError
from mien.core.files import write_atomically
from mien.core.types import Array

RECIPE: Final = "float32-2"
"""Version of the plain rewriting; part of the cache file's name."""

RECIPE_RELU: Final = "float32-relu-2"
"""Version of the rewriting without PReLU."""


def expand_network(source: Path, target: Path, *, split_prelu: bool = False) -> None:
    """Write a float32 network with a free batch axis.

    Args:
        source: An ONNX file; weights may be block-quantised (ONNX opset 21 ``DequantizeLinear``).
        target: Where to write; replaced in one step.
        split_prelu: Rewrite PReLU with ReLU and 1x1 depthwise convolutions.

    Raises:
        IntegrityError: If the file is no ONNX network.
    """
    try:
        model = onnx.load(str(source))
        onnx.checker.check_model(model)
    except Exception as err:  # onnx and protobuf raise kinds of their own, without a common root
        raise IntegrityError(
            what=f"{source.name} is not a readable ONNX network",
            why="its structure does not parse",
            mend="check the file, or install the package that carries it again",
        ) from err
    _restore_weights(model.graph)
    if split_prelu:
        _split_prelu(model.graph)
    _drop_unused(model.graph)
    _free_axes(model.graph)
    with write_atomically(target) as file:
        file.write(model.SerializeToString())


def _restore_weights(graph: Any) -> None:
    """Compute every dequantised weight and put it in place of the nodes that would."""
    stored = {i.name: i for i in graph.initializer}
    made: dict[str, Array] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            made[node.output[0]] = _dequantise(node, stored)
        elif node.op_type == "Reshape" and node.input[0] in made and node.input[1] in stored:
            value = made[node.input[0]]
            shape = numpy_helper.to_array(stored[node.input[1]])
            kept_sides = [side or value.shape[k] for k, side in enumerate(shape)]  # 0: as it was
            made[node.output[0]] = value.reshape(kept_sides)
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in made.items())


def _dequantise(node: Any, stored: dict[str, Any]) -> Array:
    """ONNX ``DequantizeLinear``: (x - zero point) * scale, per tensor, axis or block."""
    parts = [numpy_helper.to_array(stored[name]).astype(np.float32) for name in node.input]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    x, block = parts[0], attributes.get("block_size", 0)
    axis = attributes.get("axis", 1) % max(x.ndim, 1)  # may count from the end

    def spread(values: Array) -> Array:
        if block:
            repeated = np.repeat(values, block, axis)
            return np.take(repeated, np.arange(x.shape[axis]), axis)
        if values.ndim == 1 and values.size > 1:
            return values.reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        return values

    zero = spread(parts[2]) if len(parts) > 2 else np.float32(0)
    return np.asarray((x - zero) * spread(parts[1]), np.float32)


def _split_prelu(graph: Any) -> None:
    """PReLU(x) = a x + (1 - a) ReLU(x), the products as depthwise 1x1 convolutions.

    Only where the slopes are weights, one a channel of a picture; others stay as they are.
    """
    stored = {i.name: i for i in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu" or not _is_per_channel(stored.get(node.input[1])):
            nodes.append(node)
            continue
        x, out = node.input[0], node.output[0]
        slope = numpy_helper.to_array(stored[node.input[1]]).reshape(-1, 1, 1, 1)
        positive, straight, rest = (f"{out}_{part}" for part in ("relu", "straight", "rest"))
        for name, weight in ((straight, slope), (rest, 1 - slope)):
            graph.initializer.append(numpy_helper.from_array(weight, f"{name}_weight"))
        group = {"group": slope.shape[0], "kernel_shape": [1, 1]}
        nodes += [
            helper.make_node("Relu", [x], [positive]),
            helper.make_node("Conv", [positive, f"{rest}_weight"], [rest], **group),
            helper.make_node("Conv", [x, f"{straight}_weight"], [straight], **group),
            helper.make_node("Add", [rest, straight], [out]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _is_per_channel(slope: Any) -> bool:
    """Whether a weight has the shape (c, 1, 1), with or without a batch axis, and c above 1."""
    shape = tuple(slope.dims) if slope is not None else ()
    return len(shape) in {3, 4} and math.prod(shape) == shape[-3] > 1


def _drop_unused(graph: Any) -> None:
    """Remove weights that nothing reads, and inputs that only repeat weights."""
    used = {name for node in graph.node for name in node.input}
    for weight in [i for i in graph.initializer if i.name not in used]:
        graph.initializer.remove(weight)
    weights = {i.name for i in graph.initializer}
    for given in [i for i in graph.input if i.name in weights or i.name not in used]:
        graph.input.remove(given)


def _free_axes(graph: Any) -> None:
    """Let the batch, and the picture's sides where the graph is fully convolutional, change."""
    dense = any(node.op_type in {"Gemm", "MatMul", "Flatten"} for node in graph.node)
    shape = graph.input[0].type.tensor_type.shape.dim
    for axis, name in enumerate(("b", "", "h", "w")):
        if name == "b" or (name and not dense):
            shape[axis].dim_param = name
    for output in graph.output:
        for axis, dim in enumerate(output.type.tensor_type.shape.dim):
            if axis == 0 or (axis == 1 and not dense):
                dim.dim_param = "b" if axis == 0 else f"n_{output.name}"
    _free_reshapes(graph)
    del graph.value_info[:]


def _free_reshapes(graph: Any) -> None:
    """A reshape to (1, -1, k) becomes (0, -1, k): "keep the batch axis" in ONNX."""
    targets = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for weight in graph.initializer:
        if weight.name not in targets:
            continue
        shape = numpy_helper.to_array(weight).copy()
        if shape.size > 1 and shape[0] == 1 and shape[1] == -1:
            shape[0] = 0
            weight.CopyFrom(numpy_helper.from_array(shape, weight.name))
