"""The calibration report: what was measured, which thresholds follow, and which pairs to look at.

Every number comes from the table or from the scored pairs; a rate that the sample cannot show is
refused in words, never filled in.
"""

from collections.abc import Sequence
from typing import Final

from mien.core.errors import InputError, MienError
from mien.gallery.calibration import (
    MIN_GENUINE,
    MIN_PEOPLE,
    CalibrationTable,
    Provenance,
    ScoredPairs,
)
from mien.metrics.verification import det_curve, eer
from mien.reports import charts, html
from mien.reports._pairs import Thumbnails, hardest_sections, people_with_pairs
from mien.reports._rates import galleries_section, refusal_words, thresholds_section
from mien.reports.words import count, one_in, percent

MOST_SKIPPED: Final = 500

_MARKED: Final = (1e-2, 1e-3, 1e-4, 1e-5)
_HEADLINES: Final = (1e-4, 1e-3, 1e-2, 1e-1)


def render_calibration(
    table: CalibrationTable,
    pairs: ScoredPairs | None,
    photos: Sequence[str] | None,
    skipped: Sequence[tuple[str, str]],
    *,
    thumbnails: Thumbnails | None,
) -> str:
    """A report on a calibration, as one HTML page.

    Args:
        table: What was measured.
        pairs: The scored pairs behind it. Without them the DET curve is drawn from the table, and
            no pairs are shown.
        photos: (n,) names of the photos, in the order of the rows in ``pairs``. Without them pairs
            are named by their rows, and have no thumbnails.
        skipped: Photos that were not used, each with the reason.
        thumbnails: Gives the pixels of a photo by its name; asked once for each photo shown.

    Returns:
        The page.

    Raises:
        InputError: If the pairs are not those of the table, or there are fewer photos than rows.
    """
    _check_pairs(table, pairs, photos)
    body = [
        _summary(table, pairs, len(skipped)),
        _distributions(table),
        thresholds_section(table),
        galleries_section(table),
        _trade_off(table, pairs),
    ]
    if pairs is not None:
        body += [*hardest_sections(pairs, photos, thumbnails)]
    body += [_skipped(skipped), _reading(table)]
    return html.page(
        "Calibration report",
        *body,
        lead=_lead(table.provenance),
        footer=_footer(table.provenance, shows_photos=bool(pairs and photos and thumbnails)),
    )


def render_refusal(
    error: MienError,
    *,
    skipped: Sequence[tuple[str, str]] = (),
    provenance: Provenance | None = None,
) -> str:
    """The page for a calibration that was refused, such as for a sample that is too small.

    Args:
        error: Why, as `calibrate` raised it; facts of the names ``n_people`` and ``n_genuine`` are
            set beside what is needed.
        skipped: Photos that were not used, each with the reason.
        provenance: Where the photos come from, if that is to be said.

    Returns:
        The page.
    """
    needed = (
        ("people", "n_people", MIN_PEOPLE),
        ("same-person pairs", "n_genuine", MIN_GENUINE),
    )
    found = [
        (name, f"{count(value)} of at least {least}")
        for name, key, least in needed
        if isinstance(value := error.facts.get(key), int)
    ]
    body = [
        html.notice(
            "refusal",
            "No thresholds were made",
            html.paragraph(_sentence(error.what)),
            html.paragraph(_sentence(error.why)),
        ),
        html.section("What to do", html.paragraph(_sentence(error.mend))),
        html.section(
            "What was found", html.facts([*found, ("photos skipped", count(len(skipped)))])
        ),
        _skipped(skipped),
    ]
    return html.page(
        "Calibration refused",
        *body,
        lead=f"{provenance.data}, {provenance.date}"
        if provenance
        else "No thresholds could be made from these photos.",
        footer=_footer(provenance, shows_photos=False) if provenance else "Made by mien.",
    )


def _check_pairs(
    table: CalibrationTable, pairs: ScoredPairs | None, photos: Sequence[str] | None
) -> None:
    if pairs is None:
        return
    n_genuine = int(pairs.same.sum())
    found = (n_genuine, len(pairs.same) - n_genuine)
    if found != (table.n_genuine, table.n_impostor):
        raise InputError(
            what=f"there are {found[0]} same-person and {found[1]} different-person pairs",
            why=f"the table counts {table.n_genuine} and {table.n_impostor}",
            mend="pass the pairs that were returned with the table",
        )
    rows = 1 + int(max(pairs.left.max(), pairs.right.max()))
    if photos is not None and len(photos) < rows:
        raise InputError(
            what=f"there are {len(photos)} photos",
            why=f"the pairs speak of {rows}",
            mend="pass the names of all photos that have a template, in their order",
        )


def _lead(provenance: Provenance) -> html.Html:
    link = html.element("a", "How to read this page", href="#reading")
    return html.join((f"{provenance.data}, {provenance.date}. ", link, "."))


def _summary(table: CalibrationTable, pairs: ScoredPairs | None, n_skipped: int) -> html.Html:
    provenance = table.provenance
    measured = [
        ("people", count(table.n_people)),
        ("photos", count(table.n_photos)),
        ("same-person pairs", count(table.n_genuine)),
        ("different-person pairs", count(table.n_impostor)),
    ]
    details = [
        ("pipeline (contract)", table.contract),
        ("photos and pairs used", provenance.selection),
        ("photos skipped", count(n_skipped)),
        ("measured with", f"mien {provenance.version}"),
        ("date", provenance.date),
        ("seed", str(provenance.seed)),
        (
            "intervals",
            f"{percent(table.confidence)}, {count(provenance.replicates)} draws of people",
        ),
    ]
    notes = [_headline(table)]
    if pairs is not None:
        n_with_pairs = people_with_pairs(pairs)
        details.insert(2, ("people with 2 photos or more", count(n_with_pairs)))
        if n_with_pairs < MIN_PEOPLE:
            notes.append(_few_people(n_with_pairs))
    return html.section(
        "What was measured", html.facts(measured, large=True), html.facts(details), *notes
    )


def _few_people(n_with_pairs: int) -> html.Html:
    return html.notice(
        "warning",
        "Few people have two photos",
        html.paragraph(
            f"Every FNMR here rests on {count(n_with_pairs)} of the people, and its interval is "
            f"too narrow. Add second photos until at least {MIN_PEOPLE} people have one."
        ),
    )


def _headline(table: CalibrationTable) -> html.Html:
    """One threshold in plain words: the strictest usual rate that the sample supports."""
    for rate in _HEADLINES:
        found = table.threshold_for(rate)
        if found.supported:
            missed = table.fnmr_at(found.threshold)
            return html.paragraph(
                f"At a threshold of {found.threshold:.4f}, {one_in(rate)} pairs of different "
                "people is taken for one person, and "
                f"{'at most ' if missed.is_upper_bound else ''}{percent(missed.rate)} of "
                "the pairs of one person are missed."
            )
    words = refusal_words(table, _HEADLINES[-1])
    return html.notice("warning", "No usual threshold", html.paragraph(_sentence(words)))


def _distributions(table: CalibrationTable) -> html.Html:
    marks = [
        charts.Mark(found.threshold, f"FMR {percent(rate)}")
        for rate in _MARKED
        if (found := table.threshold_for(rate)).supported
    ]
    chart = charts.histogram(table.edges, table.genuine_counts, table.impostor_counts, marks=marks)
    return html.section(
        "Scores",
        html.figure(
            html.Html(chart),
            "Every pair of photos has a score. The less the two hills overlap, the better people "
            "can be told apart. Dotted lines: thresholds for the false match rates written beside "
            "them.",
        ),
    )


def _trade_off(table: CalibrationTable, pairs: ScoredPairs | None) -> html.Html:
    rates = charts.error_rates(
        table.thresholds,
        charts.Band(table.fmr, table.fmr_low, table.fmr_high),
        charts.Band(table.fnmr, table.fnmr_low, table.fnmr_high),
        smallest_fmr=table.smallest_fmr,
    )
    if pairs is None:
        curve = charts.det(table.fmr, table.fnmr)
        equal = ""
    else:
        genuine, impostor = pairs.scores[pairs.same], pairs.scores[~pairs.same]
        points = det_curve(genuine, impostor)
        curve = charts.det(points.fmr.tolist(), points.fnmr.tolist())
        equal = f" Both rates are equal at {percent(eer(genuine, impostor).rate)}."
    return html.section(
        "The two kinds of error",
        html.figure(
            html.Html(rates),
            "A higher threshold lets fewer strangers pass and misses more of the right people. "
            f"Shaded: {percent(table.confidence)} intervals, by drawing people anew.",
        ),
        html.figure(
            html.Html(curve),
            "Detection error trade-off (DET). Each point is a threshold; nearer to the lower left "
            f"is better. The dotted line is where both errors are equal.{equal}",
            beside=True,
        ),
    )


def _skipped(skipped: Sequence[tuple[str, str]]) -> html.Html:
    title = "Skipped photos"
    if not skipped:
        return html.section(title, html.paragraph("None: every photo gave a template."))
    rest = len(skipped) - MOST_SKIPPED
    more = [html.paragraph(f"… and {count(rest)} more.")] if rest > 0 else []
    listed = html.table(
        [html.Column("photo"), html.Column("reason")],
        [
            [html.file_name(photo), html.element("span", reason, class_="path")]
            for photo, reason in skipped[:MOST_SKIPPED]
        ],
        caption=f"{count(len(skipped))} photos gave no template and are in none of the numbers.",
    )
    return html.section(title, listed, *more)


def _reading(table: CalibrationTable) -> html.Html:
    return html.section(
        "How to read this page",
        html.paragraph(
            html.element("strong", "Score. "),
            "A number from −1 to 1 for how alike two faces look to this pipeline. It is no "
            "probability: a score of 0.5 does not mean 50\u00a0%.",
        ),
        html.paragraph(
            html.element("strong", "Threshold. "),
            "At or above it, two photos are said to show one person. You choose it by the errors "
            "that you can bear, with the tables above.",
        ),
        html.paragraph(
            html.element("strong", "False match rate (FMR). "),
            "Of all pairs of strangers, the share that passes as one person. Choose it small where "
            "a wrong name does harm.",
        ),
        html.paragraph(
            html.element("strong", "False non-match rate (FNMR). "),
            "Of all pairs of one person, the share that is missed. It is the price of a small FMR.",
        ),
        html.paragraph(
            html.element("strong", "Intervals. "),
            "The sample is finite, so each rate is known only within limits. If the measurement "
            "were repeated with other people of the same kind, about "
            f"{percent(table.confidence)} of such intervals would hold the true rate.",
        ),
        html.paragraph(
            html.element("strong", "Refusals. "),
            "If an error was never seen among n pairs, all that is known is that it is rarer than "
            "about 3 in n. Smaller rates are refused, not guessed: they need more people.",
        ),
        html.paragraph(
            html.element("strong", "Limits. "),
            "The numbers hold for people and photos like these and for this pipeline. Other "
            "cameras, ages or groups of people may give other rates; measure them apart.",
        ),
        anchor="reading",
    )


def _footer(provenance: Provenance, *, shows_photos: bool) -> str:
    private = (
        " This page shows photos and their names: guard it as you guard the photos."
        if shows_photos
        else ""
    )
    return f"Made by mien {provenance.version} on {provenance.date}.{private}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
