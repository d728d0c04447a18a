"""What a gallery of a size costs, and where its calibration ends."""

import json
import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from mien.core.errors import IntegrityError, MissingError, RangeError
from mien.gallery.calibration import shipped_table
from mien.gallery.decide import point_for_fpir
from mien.metrics.identification import fpir_from_fmr
from mien.reports import _capacity_charts as charts
from mien.reports.capacity import (
    SIZES,
    WAYS,
    CapacityConstants,
    MeasuredSearch,
    WayCost,
    capacity_rows,
    load_constants,
    render_capacity,
    strictest_fmr,
    supported_size,
)

CONSTANTS = CapacityConstants(
    cpu="Toy & Sons 8086",
    date="2026-01-02",
    commit="abc",
    dim=128,
    float32_bytes=512.0,
    int8_bytes=130.0,
    file_bytes=128.0,
    row_bytes=512.0,
    disk_mb_per_s=1000.0,
    costs={
        "float32": WayCost(0.1, 20.0),
        "int8": WayCost(0.2, 5.0),
        "file": WayCost(0.3, 25.0),
    },
    measured=(MeasuredSearch("int8", 100_000, 0.7), MeasuredSearch("disk", 10**7, 1600.0)),
)


@pytest.fixture(scope="module")
def table(pipeline):
    return shipped_table(pipeline.contract.id)


def test_times_are_computed_from_the_constants():
    assert CONSTANTS.ms("float32", 10**6) == pytest.approx(0.1 + 20)
    assert CONSTANTS.ms("file", 10**6) == pytest.approx(0.3 + 25)
    reading = 1e3 * 128e6 / 1000e6  # 128 MB at 1000 MB/s
    assert CONSTANTS.ms("disk", 10**6) == pytest.approx(25.3 + reading)


def test_rows_hold_memory_disk_time_and_rates(table):
    row = capacity_rows(CONSTANTS, table, fpir=0.01, sizes=[10**6])[0]
    assert (row.float32_bytes, row.int8_bytes) == (512e6, 642e6)
    assert row.disk_bytes == 640e6
    assert row.ms["int8"] == pytest.approx(5.2)
    assert row.fmr_needed == pytest.approx(1.005e-8, rel=1e-3)
    assert row.pairs_needed == math.ceil(3 / row.fmr_needed)
    assert not row.is_supported
    assert row.threshold is None
    assert row.strictest_fpir == fpir_from_fmr(strictest_fmr(table), 10**6)


def test_all_grows_with_the_size(table):
    rows = capacity_rows(CONSTANTS, table)
    assert [row.faces for row in rows] == list(SIZES)
    for small, large in pairwise(rows):
        assert all(small.ms[way] < large.ms[way] for way in WAYS)
        assert small.strictest_fpir <= large.strictest_fpir
        assert small.fmr_needed > large.fmr_needed


@pytest.mark.parametrize("fpir", [0.5, 0.1, 0.01, 0.001])
def test_the_supported_size_is_the_last_one_that_the_table_supports(table, fpir):
    size = supported_size(table, fpir)
    assert size > 0
    assert point_for_fpir(table, fpir, size).supported
    assert not point_for_fpir(table, fpir, size + 1).supported
    row = capacity_rows(CONSTANTS, table, fpir=fpir, sizes=[size])[0]
    assert row.threshold == point_for_fpir(table, fpir, size).threshold


def test_a_table_that_supports_nothing_supports_no_gallery(table):
    tiny = replace(table, n_impostor=2)
    assert supported_size(tiny, 0.01) == 0
    assert supported_size(replace(table, n_impostor=20), 0.01) == 0
    assert "Supported up to 0 faces" in render_capacity(CONSTANTS, tiny)


def test_rates_out_of_range_are_refused(table):
    for fpir in (0.0, 1.0):
        with pytest.raises(RangeError, match="fpir is"):
            capacity_rows(CONSTANTS, table, fpir=fpir)
        with pytest.raises(RangeError, match="fpir is"):
            supported_size(table, fpir)


def test_constants_survive_a_file(tmp_path):
    CONSTANTS.save(tmp_path / "c.json")
    assert load_constants(tmp_path / "c.json") == CONSTANTS


def test_shipped_constants_name_their_machine():
    found = load_constants()
    assert found.cpu
    assert found.commit
    assert found.dim == 128
    assert {m.way for m in found.measured} == set(WAYS)
    assert max(m.faces for m in found.measured) >= 10**7


def test_other_files_are_no_constants(tmp_path):
    path = tmp_path / "c.json"
    with pytest.raises(MissingError, match="c.json cannot be read.*benchmarks.capacity"):
        load_constants(path)
    good = json.loads(CONSTANTS.to_json())
    costs = good["costs"]
    bad = [
        [],
        good | {"schema": "x"},
        good | {"dim": "x"},
        good | {"disk_mb_per_s": 0},
        good | {"costs": {"int8": costs["int8"]}},
        good | {"costs": costs | {"int8": {"base_ms": -1, "ns_per_face": 1}}},
        good | {"costs": costs | {"int8": {"base_ms": 0, "ns_per_face": 0}}},
        good | {"measured": [{"way": "magic", "faces": 1, "ms": 1.0}]},
    ]
    for values in bad:
        path.write_text(json.dumps(values))
        with pytest.raises(IntegrityError, match="holds no measured costs"):
            load_constants(path)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="holds no measured costs"):
        load_constants(path)


def test_the_page_says_what_is_measured_and_where_knowledge_ends(table):
    page = render_capacity(CONSTANTS, table, fpir=0.01)
    assert f"Supported up to {supported_size(table, 0.01):,} faces" in page
    assert page.count("<svg") == 2
    assert "Toy &amp; Sons 8086" in page
    assert "10,000,000</th>" in page  # within the measurements
    assert "100,000,000 *" in page  # beyond them
    assert "Computed from measured constants" in page
    assert "refused" in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_charts_describe_themselves():
    lines = [charts.Line("a & b", [10**4, 10**9], [0.5, 20_000.0], [(10**5, 3.0)])]
    picture = charts.latency(lines)
    assert "a &amp; b: 0.5\u00a0ms at 10,000 faces, 20\u00a0s at 1,000,000,000." in picture
    assert picture.count("<circle") == 1
    alarms = charts.false_alarms([10**4, 10**9], [0.01, 1.0], wanted=0.01, supported_size=7_000)
    assert "A rate of 1\u00a0% is supported up to 7,000 faces." in alarms
    assert "supported up to 7,000</text>" in alarms
