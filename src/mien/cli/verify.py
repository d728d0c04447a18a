"""``mien verify``: do two pictures show one person?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli._console import write_line, write_table
from mien.cli._options import EmbedderName, Json, Licence, MinFace, Provider, open_pipeline

if TYPE_CHECKING:
    from mien.faces.pipeline import Analysis
    from mien.gallery.decide import Verdict

_DIFFERENT = 1
_NO_FACE = 3


def verify(
    left: Annotated[Path, typer.Argument(help="A picture.")],
    right: Annotated[Path, typer.Argument(help="Another one.")],
    fmr: Annotated[
        float, typer.Option(help="Tolerated false match rate of one comparison, 0-1.")
    ] = 1e-4,
    calibration: Annotated[
        Path | None, typer.Option(help="Table made by `mien calibrate --table`.")
    ] = None,
    provider: Provider = "onnxruntime",
    embedder: EmbedderName = "sface",
    min_face: MinFace = 20.0,
    require: Licence = None,
    json: Json = False,
) -> None:
    """Compare the main faces of two pictures. Exit code 0: same, 1: different, 3: not comparable.

    With --json: {same, score, threshold, fmr, decision, reasons}.
    """
    from mien.gallery.calibration import check_contract, load_table, shipped_table
    from mien.gallery.compare import compare_pictures
    from mien.gallery.decide import Decision, point_for_fmr

    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    contract = pipeline.contract.id
    table = load_table(calibration) if calibration else shipped_table(contract)
    check_contract(table, contract)
    verdict = compare_pictures(
        [(str(path), _analyse(pipeline, path)) for path in (left, right)],
        point_for_fmr(table, fmr),
    )
    record = _record(verdict)
    if json:
        write_line(record)
    else:
        rows = [(key, _words(value)) for key, value in record.items()]
        write_table(f"{left} and {right}", ("", ""), rows)
    if verdict.decision is Decision.NOT_COMPARABLE:
        raise typer.Exit(_NO_FACE)
    if verdict.decision is not Decision.MATCH:
        raise typer.Exit(_DIFFERENT)


def _analyse(pipeline: Any, path: Path) -> "Analysis":
    from mien.faces.quality import QualityGate

    analysis: Analysis = pipeline.analyse(path, gate=QualityGate.probe())
    return analysis


def _record(verdict: "Verdict") -> dict[str, Any]:
    from mien.gallery.decide import Decision

    comparable = verdict.decision is not Decision.NOT_COMPARABLE
    return {
        "same": verdict.decision is Decision.MATCH if comparable else None,
        "score": verdict.score,
        "threshold": verdict.point.threshold if verdict.point else None,
        "fmr": verdict.point.fmr if verdict.point else None,
        "decision": str(verdict.decision),
        "reasons": list(verdict.reasons),
    }


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value is None else str(value).lower()
