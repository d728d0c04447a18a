"""``mien studio``."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.cli.studio import app
from mien.core.errors import RangeError
from mien.studio.draw import draw
from mien.studio.sampling import draw_scene


def test_the_command_writes_pictures_labels_and_a_sheet(tmp_path):
    ran = CliRunner().invoke(
        app,
        ["draw", "--count", "3", "--seed", "5", "--size", "32", "--out", str(tmp_path), "--json"],
    )
    assert ran.exit_code == 0, ran.output
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [5, 6, 7]
    scene = draw_scene(6, size=32)
    with Image.open(tmp_path / rows[1]["file"]) as picture:
        assert np.array_equal(np.asarray(picture), draw(scene).image)
    points = draw(scene).labels.landmarks["ibug68"]
    np.testing.assert_allclose(rows[1]["landmarks"]["ibug68"], points, atol=1e-3)
    assert rows[1]["scene"]["identity"]["sex"] == pytest.approx(scene.identity.sex)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (64, 64)


def test_a_size_out_of_range_writes_nothing(tmp_path):
    ran = CliRunner().invoke(app, ["draw", "--size", "4", "--out", str(tmp_path / "new")])
    assert isinstance(ran.exception, RangeError)
    assert not (tmp_path / "new").exists()
