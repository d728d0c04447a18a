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
    from mien.gallery.decide import Decision, point_for_fmr

    pipeline = open_pipeline(
        provider=provider, embedder=embedder, min_face=min_face, require=require
    )
    contract = pipeline.contract.id
    table = load_table(calibration) if calibration else shipped_table(contract)
    check_contract(table, contract)
    verdict = _compare(
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


def _compare(pictures: "list[tuple[str, Analysis]]", point: Any) -> "Verdict":
    from dataclasses import replace

    from mien.gallery.decide import decide_pair, not_comparable

    problems: list[str] = []
    remarks: list[str] = []
    templates = []
    for name, analysis in pictures:
        row = analysis.main_face()
        found = len(analysis.faces) + len(analysis.refused)
        if row is not None and analysis.faces.embeddings is not None:
            templates.append(analysis.faces.embeddings[row])
            if found > 1:
                remarks.append(f"{name}: {found} faces found, the main one was compared")
        elif found == 0:
            problems.append(f"{name}: no face was found")
        else:
            codes = ", ".join(str(code) for code in analysis.main_reasons())
            problems.append(f"{name}: the main face is not fit for comparison ({codes})")
    if problems:
        return not_comparable(problems)
    verdict = decide_pair(float(templates[0] @ templates[1]), point)
    return replace(verdict, reasons=(*verdict.reasons, *remarks))


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
