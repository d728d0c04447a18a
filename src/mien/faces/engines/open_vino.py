"""OpenVINO on the CPU, in full float32 so that its embeddings equal ONNX Runtime's."""

import threading
from pathlib import Path

import numpy as np

from mien.core.errors import IntegrityError
from mien.core.optional import require
from mien.core.types import Float32


class OpenVinoEngine:
    """A compiled OpenVINO model with one input; each calling thread has a request of its own."""

    provider = "openvino"

    def __init__(self, model: Path, *, threads: int) -> None:
        openvino = require("openvino", extra="fast")
        core = openvino.Core()
        try:
            self._compiled = core.compile_model(
                core.read_model(str(model)),
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": 1,
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_PRECISION_HINT": "f32",
                },
            )
        except RuntimeError as err:
            raise IntegrityError(
                what=f"{model.name} cannot be loaded",
                why="it is not a network that OpenVINO can run",
                mend="check the file, or clear the weight cache and let it be made again",
            ) from err
        self.threads = threads
        self._local = threading.local()
        # A tensor may bear several names; the result node's is the one of the ONNX file.
        self._names = [
            output.get_node().get_friendly_name().removesuffix("/sink_port_0")
            for output in self._compiled.outputs
        ]

    def run(self, batch: Float32) -> dict[str, Float32]:
        """See `Engine.run`."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        values = request.infer({0: np.ascontiguousarray(batch)}, share_inputs=True)
        return {name: np.array(values[k]) for k, name in enumerate(self._names)}
