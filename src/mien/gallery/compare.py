"""Two pictures compared by their main faces: one person, different people, or not comparable."""

from collections.abc import Sequence
from dataclasses import replace

from mien.faces.pipeline import Analysis
from mien.gallery.decide import OperatingPoint, Verdict, decide_pair, not_comparable


def compare_pictures(pictures: Sequence[tuple[str, Analysis]], point: OperatingPoint) -> Verdict:
    """Whether the main faces of two pictures are one person.

    Args:
        pictures: What to call each of the two in reasons, and what the pipeline found in it.
        point: Threshold and its error rate.

    Returns:
        A match, different, or not comparable with the reasons; if a picture shows several faces,
        the reasons say that the main one was compared.
    """
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
