"""What importing costs, and what it must not bring along."""

import json
import subprocess
import sys
from pathlib import Path

import mien

ROOT = Path(__file__).parents[2]
FLOOR = ["mien.core", "mien.media", "mien.metrics", "mien.faces", "mien.gallery", "mien.cli"]


def run(code: str) -> str:
    done = subprocess.run(  # the same interpreter, in a fresh process
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout


def modules_after(statement: str) -> set[str]:
    return set(json.loads(run(f"import json, sys; {statement}; print(json.dumps([*sys.modules]))")))


def test_import_mien_brings_no_heavy_package():
    loaded = modules_after("import mien")
    heavy = {"torch", "numpy", "cv2", "onnxruntime", "PIL", "pyarrow", "rich", "typer"}
    assert not loaded & heavy


def test_asking_for_help_loads_no_numerics():
    loaded = modules_after(
        "import mien.cli.app; from typer.testing import CliRunner;"
        "assert CliRunner().invoke(mien.cli.app.app, ['--help']).exit_code == 0"
    )
    assert not loaded & {"torch", "cv2", "onnxruntime", "numpy", "pyarrow", "PIL"}


def test_recognition_runs_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None;"
        "import mien; mien.FacePipeline.open(); mien.Gallery; print('torch' in sys.modules)"
    )
    assert run(code).strip() == "True"


def test_public_names_are_those_promised():
    promised = json.loads((Path(__file__).parent / "public_names.json").read_text())
    assert sorted(mien.__all__) == promised
    for name in promised:
        assert getattr(mien, name) is not None


def test_type_checkers_see_the_same_names():
    source = (ROOT / "src/mien/__init__.py").read_text()
    for name in mien.__all__:
        if name != "__version__":
            assert f"import {name} as {name}" in source
