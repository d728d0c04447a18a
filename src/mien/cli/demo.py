"""``mien demo``: the main job on photos that anyone may use."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli._console import remark, write_line, write_table
from mien.cli._options import Json, Provider, open_pipeline


def demo(
    out: Annotated[Path, typer.Option(help="Folder for pictures and report.")] = Path("mien-demo"),
    provider: Provider = "onnxruntime",
    json: Json = False,
) -> None:
    """Enrol two people, identify three photos, write annotated pictures and an HTML report.

    Exit code 1 if an answer is wrong.
    """
    from mien.cli.identify import face_record
    from mien.reports.demo import astronaut_path, run_demo

    result = run_demo(out, open_pipeline(provider=provider))
    if astronaut_path() is None:
        remark("one person is enrolled; with scikit-image (extra 'demo') there is a second one")
    rows = []
    for one in result.answered:
        verdict = one.answer.verdict
        if json:
            row = {"photo": one.photo, "shows": one.shows, "right": one.is_right}
            write_line(row | face_record(one.answer))
        score = "" if verdict.score is None else f"{verdict.score:.3f}"
        rows.append(
            (
                one.photo,
                one.shows,
                verdict.decision.replace("_", " "),
                verdict.person or "",
                score,
                f"{result.point.threshold:.3f}",
                "yes" if one.is_right else "NO",
            )
        )
    if not json:
        people = ", ".join(sorted({one.person for one in result.enrolled}))
        columns = ("photo", "shows", "decision", "person", ">score", ">threshold", "right?")
        write_table(f"Enrolled: {people}", columns, rows)
    remark(f"report: {result.report}")
    if not result.is_right:
        raise typer.Exit(1)
