"""``mien capacity``: what a gallery of a size costs, and which error rates it can promise."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import Fpir, Json, open_pipeline


def capacity(
    out: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    fpir: Fpir = 0.01,
    calibration: Annotated[
        Path | None, typer.Option(help="Table of your own. Default: the one that mien ships.")
    ] = None,
    constants: Annotated[
        Path | None,
        typer.Option(help="Constants that benchmarks.capacity measured. Default: those shipped."),
    ] = None,
    json: Json = False,
) -> None:
    """Memory, disk, time of a search and false alarms for 10^4 to 10^9 faces.

    Computed from constants that were measured on one machine; the page says on which, and which
    rows no calibration supports.
    """
    from mien.core.files import write_atomically
    from mien.gallery.calibration import load_table, shipped_table
    from mien.reports.capacity import capacity_rows, load_constants, render_capacity, supported_size

    measured = load_constants(constants)
    own = load_table(calibration) if calibration else None
    table = own or shipped_table(open_pipeline().contract.id)
    rows = capacity_rows(measured, table, fpir=fpir)
    if out is not None:
        with write_atomically(out) as file:
            file.write(render_capacity(measured, table, fpir=fpir).encode())
        remark(f"page: {out}")
    if json:
        for row in rows:
            write_line(asdict(row))
        return
    shown = [
        (
            f"{row.faces:,}",
            f"{row.float32_bytes / 2**30:.2f}",
            f"{row.int8_bytes / 2**30:.2f}",
            f"{row.ms['float32']:,.1f}",
            f"{row.ms['int8']:,.1f}",
            f"{row.fmr_needed:.1e}",
            f"{row.threshold:.3f}" if row.threshold is not None else "not supported",
        )
        for row in rows
    ]
    columns = (
        ">faces", ">float32 GiB", ">int8 GiB", ">float32 ms", ">int8 ms", ">FMR needed",
        ">threshold",
    )  # fmt: skip
    write_table(f"At FPIR {fpir:g}, one thread", columns, shown)
    remark(
        f"computed from measurements on {measured.cpu}; the calibration supports this rate up to "
        f"{supported_size(table, fpir):,} faces"
    )
