"""ONNX Runtime on the CPU: the default engine."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from mien.core.errors import IntegrityError
from mien.core.types import Float32

_ERRORS_ONLY = 3


class OnnxRuntimeEngine:
    """An ONNX Runtime session with one input."""

    provider = "onnxruntime"

    def __init__(self, model: Path, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Idle threads would spin and starve the other workers of a small machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except Exception as err:  # its errors have no common root but this
            raise IntegrityError(
                what=f"{model.name} cannot be loaded ({type(err).__name__})",
                why="it is not a network that ONNX Runtime can run",
                mend="check the file, or clear the weight cache and let it be made again",
            ) from err
        self.threads = threads
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, batch: Float32) -> dict[str, Float32]:
        """See `Engine.run`."""
        values = self._session.run(self._outputs, {self._input: np.ascontiguousarray(batch)})
        return dict(zip(self._outputs, values, strict=True))
