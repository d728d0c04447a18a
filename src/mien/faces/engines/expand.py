"""Packaged networks rewritten for speed; `packaged` keeps the results in the weight cache.

The packaged YuNet and SFace store their weights block-quantised (int8 with a scale per block) and
for a batch of one. `expand_network` restores float32 weights and a free batch axis. For ONNX
Runtime it also rewrites PReLU: the runtime's fast blocked layout knows no PReLU and would leave
and re-enter the layout around each of SFace's 27, which makes it about two and a half times slower
(`python -m benchmarks.engines`). The values stay the same to float rounding.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mien.core.errors import IntegrityError
from mien.core.files import write_atomically
from mien.core.types import Array


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
    """Write PReLU(x) as the sum of a x and ReLU((1 - a) x), both with their products folded away.

    The products are depthwise 1x1 convolutions; after a depthwise convolution they go into copies
    of its own weights. The runtime fuses the ReLU into the one convolution and the sum into the
    other, so that a PReLU costs one or two passes over the data.

    A channel whose slope is above 1 is x - ReLU((1 - a) x). It is handed on negated, and the
    weights of the convolution that reads it are negated for it.

    Only where the slopes are weights, one a channel of a picture; others stay as they are.
    """
    stored = {i.name: i for i in graph.initializer}
    producers = {node.output[0]: node for node in graph.node}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type != "PRelu" or not _is_per_channel(stored.get(node.input[1])):
            nodes.append(node)
            continue
        slope = numpy_helper.to_array(stored[node.input[1]]).reshape(-1, 1, 1, 1)
        is_steep = slope.ravel() > 1
        if is_steep.any() and not _negate_inputs(graph, node.output[0], is_steep, readers, stored):
            nodes += _split_plainly(node.input[0], node.output[0], slope, graph)
            continue
        straight = np.where(slope > 1, np.float32(-1), slope)
        factors = {"rest": 1 - slope, "straight": straight}
        chain = _depthwise_chain(node.input[0], producers, readers, stored)
        if chain:
            nodes = [n for n in nodes if all(n is not used for used in chain.nodes)]
            nodes += _split_after(chain, node.output[0], factors, graph)
        else:
            nodes += _split_alone(node.input[0], node.output[0], factors, graph)
    del graph.node[:]
    graph.node.extend(nodes)


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """A depthwise convolution with the batch normalisation after it, as one convolution."""

    nodes: list[Any]
    source: str
    weight: Array
    bias: Array
    attributes: dict[str, Any]


def _depthwise_chain(
    name: str, producers: dict[str, Any], readers: Counter[str], stored: dict[str, Any]
) -> _Chain | None:
    """What computes a value, if that is a depthwise convolution that nothing else reads."""
    node = producers.get(name)
    scale, shift, used = np.float32(1), np.float32(0), []
    if node is not None and node.op_type == "BatchNormalization" and readers[name] == 1:
        if not all(part in stored for part in node.input[1:]):
            return None
        gamma, beta, mean, variance = (numpy_helper.to_array(stored[k]) for k in node.input[1:])
        attributes = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        scale = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        shift, used, name = beta - mean * scale, [node], node.input[0]
        node = producers.get(name)
    if node is None or node.op_type != "Conv" or readers[name] != 1:
        return None
    if not all(part in stored for part in node.input[1:]):
        return None
    weight = numpy_helper.to_array(stored[node.input[1]])
    attributes = {x.name: helper.get_attribute_value(x) for x in node.attribute}
    if weight.ndim != 4 or weight.shape[1] != 1 or attributes.get("group") != len(weight):
        return None
    bias = numpy_helper.to_array(stored[node.input[2]]) if len(node.input) > 2 else np.float32(0)
    channels = np.ones(len(weight), np.float32)
    factor = channels * scale
    return _Chain(
        nodes=[*used, node],
        source=node.input[0],
        weight=weight * factor.reshape(-1, 1, 1, 1),
        bias=channels * shift + bias * factor,
        attributes=attributes,
    )


def _negate_inputs(
    graph: Any, name: str, channels: Array, readers: Counter[str], stored: dict[str, Any]
) -> bool:
    """Negate what the only reader of a value, a convolution, does with some channels of it."""
    conv = next((node for node in graph.node if name in node.input), None)
    if conv is None or conv.op_type != "Conv" or readers[name] != 1 or conv.input[0] != name:
        return False
    if conv.input[1] not in stored or readers[conv.input[1]] != 1:
        return False
    weight = numpy_helper.to_array(stored[conv.input[1]]).copy()
    group = next((x.i for x in conv.attribute if x.name == "group"), 1)
    if group == 1 and weight.shape[1] == len(channels):
        weight[:, channels] *= -1
    elif weight.shape[1] == 1 and group == len(weight) == len(channels):
        weight[channels] *= -1
    else:
        return False
    stored[conv.input[1]].CopyFrom(numpy_helper.from_array(weight, conv.input[1]))
    return True


def _split_after(chain: _Chain, out: str, factors: dict[str, Array], graph: Any) -> list[Any]:
    """PReLU after a depthwise convolution: the convolution twice, its weights scaled."""
    nodes = []
    for part, factor in factors.items():
        weights = {"weight": chain.weight * factor, "bias": chain.bias * factor.ravel()}
        for kind, values in weights.items():
            graph.initializer.append(
                numpy_helper.from_array(np.asarray(values, np.float32), f"{out}_{part}_{kind}")
            )
        names = [chain.source, *(f"{out}_{part}_{kind}" for kind in weights)]
        nodes.append(helper.make_node("Conv", names, [f"{out}_{part}"], **chain.attributes))
    return _join(nodes[0], nodes[1], out)


def _split_alone(x: str, out: str, factors: dict[str, Array], graph: Any) -> list[Any]:
    """PReLU after anything else: two depthwise 1x1 convolutions."""
    nodes = []
    for part, factor in factors.items():
        graph.initializer.append(numpy_helper.from_array(factor, f"{out}_{part}_weight"))
        nodes.append(_scale(x, f"{out}_{part}", len(factor)))
    return _join(nodes[0], nodes[1], out)


def _split_plainly(x: str, out: str, slope: Array, graph: Any) -> list[Any]:
    """PReLU(x) = a x + (1 - a) ReLU(x), for slopes above 1 that cannot be handed on negated."""
    for part, factor in (("rest", 1 - slope), ("straight", slope)):
        graph.initializer.append(numpy_helper.from_array(factor, f"{out}_{part}_weight"))
    relu = helper.make_node("Relu", [x], [f"{out}_positive"])
    rest, straight = f"{out}_rest", f"{out}_straight"
    products = [_scale(f"{out}_positive", rest, len(slope)), _scale(x, straight, len(slope))]
    return [relu, *products, helper.make_node("Add", [rest, straight], [out])]


def _scale(x: str, out: str, channels: int) -> Any:
    """A channelwise product as a depthwise 1x1 convolution, with weights named after its output."""
    return helper.make_node(
        "Conv", [x, f"{out}_weight"], [out], group=channels, kernel_shape=[1, 1]
    )


def _join(rest: Any, straight: Any, out: str) -> list[Any]:
    relu = helper.make_node("Relu", [rest.output[0]], [f"{out}_positive"])
    return [
        rest,
        relu,
        straight,
        helper.make_node("Add", [f"{out}_positive", straight.output[0]], [out]),
    ]


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
