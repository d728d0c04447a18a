"""Packaged networks are rewritten once, and found in the cache ever after."""

import subprocess
import sys

import pytest

from mien.core.errors import RefusedError, WeightsMissingError
from mien.faces.engines import expand
from mien.faces.engines.packaged import packaged_network


def test_a_network_is_rewritten_once(monkeypatch):
    first, sha256 = packaged_network("yunet", provider="onnxruntime")
    monkeypatch.setattr(expand, "expand_network", None)
    assert packaged_network("yunet", provider="onnxruntime") == (first, sha256)
    assert sha256.startswith("49f000ec")


def test_providers_have_files_of_their_own():
    files = {packaged_network("yunet", provider=p)[0] for p in ("onnxruntime", "openvino")}
    assert len(files) == 2


def test_a_warm_start_does_not_load_the_rewriter():
    packaged_network("sface", provider="onnxruntime")
    packaged_network("yunet", provider="onnxruntime")
    code = "import sys, mien; mien.FacePipeline.open(); print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_licence_and_name_are_checked():
    with pytest.raises(RefusedError, match="commercial"):
        packaged_network("sface", provider="onnxruntime", require="commercial")
    with pytest.raises(WeightsMissingError, match="arcface"):
        packaged_network("arcface", provider="onnxruntime")
