"""``mien evaluate``: measure a system by its field's protocol."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import progress, remark, write_line, write_table
from mien.cli._options import EmbedderName, Json, MinFace, Provider, open_pipeline

app = typer.Typer(no_args_is_help=True, help="Measure a system by its field's protocol.")


@app.command("recognition")
def recognition(
    pairs: Annotated[Path, typer.Option(help="CSV file with the columns left,right,same.")],
    images: Annotated[Path, typer.Option(help="Folder that the paths of the pairs start from.")],
    rows: Annotated[
        Path | None, typer.Option(help="Write one record a pair to this JSONL file.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Pictures in work at once; 1 gives the time of one thread.")
    ] = 1,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    json: Json = False,
) -> None:
    """Verification: ten-fold accuracy, TAR at FAR, EER, failures to enrol, time a picture.

    A picture without a usable main face counts as an error of all its pairs.
    """
    from mien.core.records import write_jsonl
    from mien.systems.recognition.verification import evaluate_verification, read_pairs

    listed = read_pairs(pairs)
    pipeline = open_pipeline(provider=provider, embedder=embedder, min_face=min_face)
    with progress("embedding", quiet=json) as advance:
        report = evaluate_verification(pipeline, listed, images, workers=workers, progress=advance)
    if rows:
        write_jsonl(rows, report.rows(), schema="mien.verification/1")
    record = report.as_record()
    if json:
        write_line(record)
        return
    tars = record.pop("tar_at_far")
    table = [(key, _words(value)) for key, value in record.items()]
    for far, point in tars.items():
        low, high = point["interval"]
        table.append((f"TAR at FAR {far}", f"{point['tar']:.4f} ({low:.4f}-{high:.4f})"))
    write_table("Verification", ("figure", ">value"), table)


@app.command("identification")
def identification(
    images: Annotated[Path, typer.Option(help="A folder per person.")],
    fpir: Annotated[float, typer.Option(help="Tolerated rate of false alarms, 0-1.")] = 0.01,
    seeds: Annotated[int, typer.Option(help="Draws of the enrolled half.")] = 5,
    calibration: Annotated[
        Path | None, typer.Option(help="Table to use in place of the one that mien ships.")
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    json: Json = False,
) -> None:
    """Open-set identification: half of the people enrolled with one photo, the others unknown.

    Every draw is measured twice: with the table in force, and with one measured on the enrolled
    people only, to which the unknown people are new.
    """
    from mien.gallery.calibration import load_table
    from mien.gallery.labelled import embed_labelled
    from mien.systems.recognition.identification import SOURCES, evaluate_identification

    pipeline = open_pipeline(provider=provider, embedder=embedder)
    table = load_table(calibration) if calibration else None
    with progress("embedding", quiet=json) as advance:
        data = embed_labelled(pipeline, images, progress=advance)
    if data.skipped:
        remark(f"{len(data.skipped)} photos without a usable face are left out")
    reports = []
    for seed in range(seeds):
        for source in SOURCES:
            report = evaluate_identification(
                data.templates,
                data.people,
                contract=pipeline.contract,
                fpir=fpir,
                calibration=source,
                table=table,
                seed=seed,
            )
            reports.append(report.as_record())
            if json:
                write_line(reports[-1])
    if json:
        return
    columns = ("seed", "table", ">threshold", ">FPIR", "stated", ">FNIR", ">rank 1")
    body = [
        (
            r["seed"],
            r["calibration"],
            f"{r['threshold']:.3f}",
            _rate(r["fpir"], r["fpir_interval"]),
            "{:.4f}-{:.4f}".format(*r["fpir_stated_interval"]),
            _rate(r["fnir"], r["fnir_interval"]),
            f"{r['rank_one']:.4f}",
        )
        for r in reports
    ]
    write_table(f"Open set at FPIR {fpir:g}", columns, body)


def _rate(value: float, interval: list[float]) -> str:
    return f"{value:.4f} ({interval[0]:.4f}-{interval[1]:.4f})"


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return "-".join(f"{v:.4f}" for v in value)
    return str(value)
