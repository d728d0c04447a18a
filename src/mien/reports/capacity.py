"""What a gallery of a given size costs, and how far its calibration reaches.

Costs of a search are measured on one machine by ``benchmarks/capacity.py`` and kept as an asset;
what is said of other sizes is computed from them. False alarms follow from a calibration table,
and beyond the size that its sample supports a threshold is refused, not guessed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from mien.core.config import from_mapping, to_mapping
from mien.core.errors import ConfigError, IntegrityError, MissingError, RangeError
from mien.core.files import write_atomically
from mien.gallery.calibration import CalibrationTable
from mien.gallery.decide import point_for_fpir
from mien.metrics.identification import fmr_for_fpir, fpir_from_fmr
from mien.reports import _capacity_charts as charts
from mien.reports import html
from mien.reports.words import count, one_in, percent

SCHEMA: Final = "mien.capacity/1"
SIZES: Final = tuple(10**power for power in range(4, 10))

_DRAWN_SIZES: Final = tuple(10**power for power in range(2, 10))

Way = Literal["float32", "int8", "file", "disk"]

WAYS: Final[dict[Way, str]] = {
    "float32": "float32",
    "int8": "int8",
    "file": "int8 file, cached",
    "disk": "int8 file, on disk",
}
"""The ways to search, and their names. The last two are one program, with the file still in the
system's memory and without."""


@dataclass(frozen=True, slots=True)
class WayCost:
    """What a search costs.

    Attributes:
        base_ms: Whatever the size.
        ns_per_face: For every face.
    """

    base_ms: float
    ns_per_face: float

    def __post_init__(self) -> None:
        """Refuse costs that no machine has."""
        if not (0 <= self.base_ms < math.inf and 0 < self.ns_per_face < math.inf):
            raise RangeError(
                what=f"a search costs {self.base_ms} ms and {self.ns_per_face} ns a face",
                why="costs are positive and finite",
                mend="measure them with benchmarks/capacity.py",
            )

    def at(self, faces: int) -> float:
        """Milliseconds of a search among so many faces."""
        return self.base_ms + self.ns_per_face * faces / 1e6


@dataclass(frozen=True, slots=True)
class MeasuredSearch:
    """One measurement, to be set beside what is computed.

    Attributes:
        way: How was searched.
        faces: Among how many.
        ms: Median CPU time of a search, one thread; for ``disk`` the wall time.
    """

    way: Way
    faces: int
    ms: float


@dataclass(frozen=True, slots=True)
class CapacityConstants:
    """What was measured, and where.

    Attributes:
        cpu: Processor.
        date: Of the measurement, ISO 8601.
        commit: Of mien.
        dim: Numbers of a template.
        float32_bytes: Memory of a face, searched as float32.
        int8_bytes: Memory of a face's codes.
        file_bytes: Of a face in a file of codes.
        row_bytes: Of a face in a file of float32 rows.
        disk_mb_per_s: Rate at which the disk was read.
        costs: For each way but ``disk`` its cost.
        measured: Single measurements.
    """

    cpu: str
    date: str
    commit: str
    dim: int
    float32_bytes: float
    int8_bytes: float
    file_bytes: float
    row_bytes: float
    disk_mb_per_s: float
    costs: dict[str, WayCost]
    measured: tuple[MeasuredSearch, ...]

    def ms(self, way: Way, faces: int) -> float:
        """Computed time of one search of one thread, milliseconds."""
        if way != "disk":
            return self.costs[way].at(faces)
        # Reading and comparing overlap only in part; the sum is the careful reckoning.
        return self.costs["file"].at(faces) + faces * self.file_bytes / self.disk_mb_per_s / 1e3

    def to_json(self) -> str:
        """As text, for `load_constants`."""
        return json.dumps({"schema": SCHEMA} | to_mapping(self), indent=1) + "\n"

    def save(self, path: Path) -> None:
        """Write `to_json` to a file, in one step.

        Raises:
            StorageError: If it cannot be written.
        """
        with write_atomically(path) as file:
            file.write(self.to_json().encode())


@dataclass(frozen=True, slots=True)
class CapacityRow:
    """What one size means.

    Attributes:
        faces: In the gallery.
        float32_bytes: Memory, searched as float32.
        int8_bytes: Memory, searched by codes: they come on top of the float32 rows, which a sealed
            gallery keeps in memory.
        disk_bytes: Codes and float32 rows in files.
        ms: Time of one search, one thread, by way.
        fmr_needed: False match rate that the wanted FPIR leaves to one comparison.
        pairs_needed: Different-person pairs that a calibration needs to show it, 3 / FMR.
        is_supported: Whether the calibration shows it.
        threshold: For the wanted FPIR; None where it is not supported.
        strictest_fpir: FPIR at the strictest threshold that the calibration supports.
    """

    faces: int
    float32_bytes: float
    int8_bytes: float
    disk_bytes: float
    ms: dict[Way, float]
    fmr_needed: float
    pairs_needed: int
    is_supported: bool
    threshold: float | None
    strictest_fpir: float


def load_constants(path: Path | None = None) -> CapacityConstants:
    """Constants that ``benchmarks/capacity.py`` measured.

    Args:
        path: Its file; None: those that mien ships, of the machine that they name.

    Raises:
        MissingError: If there is no such file.
        IntegrityError: If it holds something else.
    """
    place = path or Path(str(files("mien") / "assets" / "capacity.json"))
    try:
        text = place.read_bytes()
    except OSError as err:
        raise MissingError(
            what=f"{place.name} cannot be read ({type(err).__name__})",
            why="costs are computed from measurements",
            mend="measure them: python -m benchmarks.capacity",
        ) from err
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        found = from_mapping(CapacityConstants, values)
        if set(found.costs) != WAYS.keys() - {"disk"} or not found.disk_mb_per_s > 0:
            raise ValueError("a cost is missing")
    except (ValueError, ConfigError, RangeError) as err:
        raise IntegrityError(
            what=f"{place.name} holds no measured costs",
            why=str(err),
            mend="measure them: python -m benchmarks.capacity",
        ) from err
    return found


def capacity_rows(
    constants: CapacityConstants,
    table: CalibrationTable,
    *,
    fpir: float = 0.01,
    sizes: Sequence[int] = SIZES,
) -> list[CapacityRow]:
    """Costs and false alarms of galleries of some sizes.

    Args:
        constants: What was measured.
        table: Calibration of the pipeline in use.
        fpir: Tolerated share of searches for strangers that name somebody, in (0, 1).
        sizes: Numbers of faces, each at least 1.

    Raises:
        RangeError: If a value lies outside its range.
    """
    return [_row(constants, table, fpir, size) for size in sizes]


def _row(
    constants: CapacityConstants, table: CalibrationTable, fpir: float, size: int
) -> CapacityRow:
    point = point_for_fpir(table, fpir, size)
    needed = fmr_for_fpir(fpir, size)
    return CapacityRow(
        faces=size,
        float32_bytes=size * constants.float32_bytes,
        int8_bytes=size * (constants.float32_bytes + constants.int8_bytes),
        disk_bytes=size * (constants.file_bytes + constants.row_bytes),
        ms={way: constants.ms(way, size) for way in WAYS},
        fmr_needed=needed,
        pairs_needed=math.ceil(3 / needed),
        is_supported=point.supported,
        threshold=point.threshold if point.supported else None,
        strictest_fpir=fpir_from_fmr(strictest_fmr(table), size),
    )


def strictest_fmr(table: CalibrationTable) -> float:
    """The least false match rate for which the calibration supports a threshold."""
    return table.threshold_for(max(table.smallest_fmr, table.fmr[-1])).fmr


def supported_size(table: CalibrationTable, fpir: float) -> int:
    """The largest gallery for which the calibration supports a threshold for this FPIR; 0: none.

    Raises:
        RangeError: If the rate lies outside (0, 1).
    """
    least = max(table.smallest_fmr, table.fmr[-1])
    if least >= 1:
        return 0
    size = math.floor(math.log1p(-fpir) / math.log1p(-least)) if 0 < fpir < 1 else 0
    # The rounding of logarithms may be off by one either way; the table has the last word.
    near = [
        n for n in range(max(size - 1, 1), size + 2) if point_for_fpir(table, fpir, n).supported
    ]
    return max(near, default=0)


def render_capacity(
    constants: CapacityConstants, table: CalibrationTable, *, fpir: float = 0.01
) -> str:
    """The report as one HTML page.

    Args:
        constants: What was measured.
        table: Calibration of the pipeline in use.
        fpir: Tolerated share of searches for strangers that name somebody, in (0, 1).

    Raises:
        RangeError: If the rate lies outside its range.
    """
    rows = capacity_rows(constants, table, fpir=fpir)
    limit = supported_size(table, fpir)
    return html.page(
        "Capacity",
        _costs(constants, rows),
        _times(constants, rows),
        _alarms(table, rows, fpir, limit),
        _reading(constants),
        lead="What a gallery costs by its size, and up to which size its false alarms are known.",
        footer=f"Costs measured on {constants.cpu}, {constants.date}, commit {constants.commit}. "
        f"Calibration: {table.contract}, {table.provenance.data}, {table.provenance.date}.",
    )


def _costs(constants: CapacityConstants, rows: Sequence[CapacityRow]) -> html.Html:
    names = ("faces", "memory, float32", "memory, int8 codes too", "disk")
    cells: list[list[html.Content | html.Cell]] = [
        [
            _faces(constants, row),
            _size(row.float32_bytes),
            _size(row.int8_bytes),
            _size(row.disk_bytes),
        ]
        for row in rows
    ]
    return html.section(
        "Memory and disk",
        html.table(
            [html.Column(name, is_number=True) for name in names],
            cells,
            caption=f"Computed from measured constants. {_beyond(constants)} Disk: codes and "
            "float32 rows, without the database of people.",
        ),
    )


def _times(constants: CapacityConstants, rows: Sequence[CapacityRow]) -> html.Html:
    sizes = [row.faces for row in rows]
    lines = [
        charts.Line(name, sizes, [row.ms[way] for row in rows], _dots(constants, way, sizes))
        for way, name in WAYS.items()
    ]
    return html.section(
        "Time of a search",
        html.table(
            [html.Column(name, is_number=True) for name in ("faces", *WAYS.values())],
            [[_faces(constants, row), *(_time(row.ms[way]) for way in WAYS)] for row in rows],
            caption=f"One search, one thread, computed. {_beyond(constants)}",
        ),
        html.figure(
            html.Html(charts.latency(lines)),
            "Lines are computed, dots are measured. Every face is looked at, so the time grows "
            "with the gallery; all ways find the same faces.",
        ),
        _measurements(constants),
    )


def _dots(constants: CapacityConstants, way: Way, sizes: Sequence[int]) -> list[tuple[int, float]]:
    own = [(m.faces, m.ms) for m in constants.measured if m.way == way]
    return [(faces, ms) for faces, ms in own if sizes[0] <= faces <= sizes[-1]]


def _faces(constants: CapacityConstants, row: CapacityRow) -> str:
    return count(row.faces) + (" *" if row.faces > _largest(constants) else "")


def _beyond(constants: CapacityConstants) -> str:
    return f"* Beyond the largest measurement, {count(_largest(constants))} faces."


def _largest(constants: CapacityConstants) -> int:
    return max((m.faces for m in constants.measured), default=0)


def _measurements(constants: CapacityConstants) -> html.Html:
    columns = [
        html.Column("way"),
        *(html.Column(n, is_number=True) for n in ("faces", "measured", "computed", "ratio")),
    ]
    cells: list[list[html.Content | html.Cell]] = [
        [WAYS[m.way], count(m.faces), _time(m.ms), _time(own), f"{m.ms / own:.2f}"]
        for m in sorted(constants.measured, key=lambda m: (list(WAYS).index(m.way), m.faces))
        if (own := constants.ms(m.way, m.faces))
    ]
    return html.table(
        columns,
        cells,
        caption="Measured against computed time. "
        "The smallest and the largest of the first measurements fix the constants, so those agree.",
    )


def _alarms(
    table: CalibrationTable, rows: Sequence[CapacityRow], fpir: float, limit: int
) -> html.Html:
    columns = [
        html.Column("faces", is_number=True),
        html.Column("FMR needed", is_number=True),
        html.Column("pairs that would show it", is_number=True),
        html.Column("threshold", is_number=True),
        html.Column("FPIR at the strictest supported threshold", is_number=True),
    ]
    cells: list[list[html.Content | html.Cell]] = [
        [
            count(row.faces),
            one_in(row.fmr_needed),
            count(row.pairs_needed),
            html.Cell("refused", is_refusal=True)
            if row.threshold is None
            else f"{row.threshold:.4f}",
            percent(row.strictest_fpir),
        ]
        for row in rows
    ]
    chart = charts.false_alarms(
        _DRAWN_SIZES,
        [fpir_from_fmr(strictest_fmr(table), size) for size in _DRAWN_SIZES],
        wanted=fpir,
        supported_size=limit,
    )
    return html.section(
        "False alarms",
        html.notice(
            "warning",
            f"Supported up to {count(limit)} faces",
            html.paragraph(
                f"The calibration has {count(table.n_impostor)} different-person pairs. By the "
                f"rule of three they show no FMR below 3/n, {one_in(table.smallest_fmr)}. In "
                f"larger galleries no threshold is known at which only {percent(fpir)} of searches "
                "for strangers name somebody."
            ),
        ),
        html.table(
            columns,
            cells,
            caption=f"For a wanted FPIR of {percent(fpir)}. FPIR is computed as 1 − (1 − FMR)^N, "
            "which takes the N comparisons as independent; the true rate is usually lower.",
        ),
        html.figure(
            html.Html(chart),
            "The strictest supported threshold is the best that this calibration can offer. Where "
            "the line is above the wanted rate, more pairs of different people must be measured.",
        ),
    )


def _reading(constants: CapacityConstants) -> html.Html:
    return html.section(
        "How to read this page",
        html.paragraph(
            html.element("strong", "Measured. "),
            f"CPU times of single searches on {constants.cpu}; from its disk "
            f"{constants.disk_mb_per_s:,.0f} MB/s, and wall times. Other machines differ; measure "
            "yours with benchmarks/capacity.py.",
        ),
        html.paragraph(
            html.element("strong", "Computed. "),
            "Everything else. Times grow in proportion to the faces. A search of a file that does "
            "not fit into memory is bound by the disk; several searches at once share one reading.",
        ),
        html.paragraph(
            html.element("strong", "Not said. "),
            "Whether the right person is found: that depends on photos, not on size alone. Rates "
            "hold for people and photos like those of the calibration.",
        ),
        anchor="reading",
    )


def _size(number: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= factor:
            return f"{number / factor:,.3g}\u00a0{unit}"
    return f"{number / 1e3:,.3g}\u00a0kB"


def _time(ms: float) -> str:
    return f"{ms / 1e3:,.3g}\u00a0s" if ms >= 1e3 else f"{ms:.3g}\u00a0ms"
