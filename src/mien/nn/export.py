"""Networks as ONNX files, for inference without torch.

A file is written only after ONNX Runtime gave the same numbers as torch for it. What the numbers
mean, and which network is written, is known to the system that asks.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import InputError, IntegrityError, ShapeError
from mien.core.files import write_atomically
from mien.core.optional import require

OPSET: Final = 18
"""The version that torch's exporter writes without conversion; ONNX Runtime reads it since 1.14."""


def to_onnx(
    model: nn.Module,
    path: Path,
    example: Tensor,
    *,
    input_name: str = "input",
    output_name: str = "output",
    tolerance: float = 1e-4,
) -> float:
    """Write a network of one input and one output, with a free batch axis.

    The network is written as in evaluation; its modes are as before afterwards. The example is run
    through the file as a whole and its first row alone, and compared with torch.

    Args:
        model: The network.
        path: Where the file shall stand.
        example: (b, …) an input with b at least 2, on the network's device.
        input_name: What the input is called in the file.
        output_name: What the output is called in the file.
        tolerance: Largest allowed difference of a number between torch and ONNX Runtime.

    Returns:
        The largest difference that was seen.

    Raises:
        ShapeError: If the example holds fewer than two rows.
        InputError: If the network has no form in ONNX, or needs batches of one size.
        IntegrityError: If the file's numbers differ by more than the tolerance; nothing is written.
        StorageError: If the file cannot be written.
        ExtraMissingError: If a package of the extra ``train`` is missing.
    """
    require("onnxscript", extra="train")
    if example.ndim < 1 or len(example) < 2:
        raise ShapeError(
            what=f"the example has shape {tuple(example.shape)}",
            why="a batch of one would be taken for a fixed size",
            mend="pass at least two rows",
        )
    with _evaluating(model), torch.no_grad():
        content = _convert(model, example, input_name, output_name)
        difference = _largest_difference(model, content, example)
    if not difference <= tolerance:  # also for NaN
        raise IntegrityError(
            what=f"torch and ONNX Runtime differ by {difference:.3g}",
            why=f"more than {tolerance:.3g} would be seen in scores",
            mend="look for layers that overflow, or allow more if the outputs are large",
        )
    with write_atomically(path) as file:
        file.write(content)
    return difference


def _convert(model: nn.Module, example: Tensor, input_name: str, output_name: str) -> bytes:
    """The file's content, without traces of the machine that made it."""
    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                model,
                (example,),
                input_names=[input_name],
                output_names=[output_name],
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as err:
        raise InputError(
            what="the network cannot be written as ONNX (the exporter's report is the cause)",
            why="an operation has no form there, or the batch axis is not free",
            mend="replace what depends on values or on the batch's size",
        ) from err
    proto = program.model_proto
    # Stack traces of the exporter name folders of this machine.
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
        part.ClearField("metadata_props")
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _largest_difference(model: nn.Module, content: bytes, example: Tensor) -> float:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    worst = 0.0
    for batch in (example, example[:1]):
        expected = model(batch).cpu().numpy()
        (seen,) = session.run(None, {name: batch.cpu().numpy()})
        # np.maximum keeps a NaN, max() may lose it.
        worst = float(np.maximum(worst, np.abs(seen - expected).max()))
    return worst


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """All layers in evaluation; each gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes to its own developers, and on packages that we do not use."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        log.setLevel(level)
