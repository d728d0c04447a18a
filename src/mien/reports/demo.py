"""The demonstration: the main job on photos that anyone may use, with pictures and a page.

Two people are enrolled with one photo each. Two further photos of one of them must be matched, and
a person who is not enrolled must stay unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from mien.core.errors import ConflictError, WeightsMissingError
from mien.core.files import write_atomically
from mien.core.keys import load_key, new_key, write_key_file
from mien.core.types import UInt8
from mien.faces.draw import Mark, annotate
from mien.faces.pipeline import FacePipeline
from mien.faces.quality import QualityGate
from mien.gallery.decide import Decision, OperatingPoint
from mien.gallery.gallery import Gallery, Identification
from mien.gallery.marks import label_of, marks_of, write_picture
from mien.media.geometry import resize
from mien.media.image import load_image
from mien.reports.html import (
    Column,
    Html,
    element,
    facts,
    join,
    notice,
    page,
    paragraph,
    section,
    table,
    thumbnail,
)

FPIR: Final = 0.01
_CONSENT: Final = "public figure, official photo in the public domain"
_PORTRAIT_PX: Final = 720
_FACE_SHARE: Final = 0.42  # of the portrait's height


@dataclass(frozen=True, slots=True)
class _Probe:
    """A photo, who is on it, and what is to be answered."""

    photo: str
    shows: str
    expected: Decision


_PROBES: Final = (
    _Probe("obama_2.jpg", "Barack Obama", Decision.MATCH),
    _Probe("obama_3.jpg", "Barack Obama", Decision.MATCH),
    _Probe("biden_1.jpg", "Joe Biden, not enrolled", Decision.UNKNOWN),
)


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """One enrolled photo.

    Attributes:
        photo: File name.
        person: Who it is.
        picture: File name of the annotated picture.
        portrait: (h, w, 3) uint8 RGB, the annotated face and its surroundings.
    """

    photo: str
    person: str
    picture: str
    portrait: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One answered photo.

    Attributes:
        photo: File name.
        shows: Who is on it.
        expected: The right answer.
        answer: mien's answer.
        picture: File name of the annotated picture.
        portrait: (h, w, 3) uint8 RGB, the annotated face and its surroundings.
    """

    photo: str
    shows: str
    expected: Decision
    answer: Identification
    picture: str
    portrait: UInt8

    @property
    def is_right(self) -> bool:
        """Whether the decision and, for a match, the person are right."""
        verdict = self.answer.verdict
        named = verdict.person in {None, self.shows}
        return verdict.decision is self.expected and named


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demonstration showed.

    Attributes:
        enrolled: Photos in the gallery.
        answered: Photos that were asked about.
        point: Threshold and error rates behind the answers.
        contract: The pipeline.
        report: The page.
    """

    enrolled: tuple[Enrolled, ...]
    answered: tuple[Answered, ...]
    point: OperatingPoint
    contract: str
    report: Path

    @property
    def is_right(self) -> bool:
        """Whether every photo was answered rightly."""
        return all(one.is_right for one in self.answered)


def run_demo(out: Path, pipeline: FacePipeline) -> DemoResult:
    """Enrol, identify, draw and report.

    Args:
        out: Folder to write to: ``people.gallery`` with its key, annotated pictures,
            ``report.html``. A gallery of an earlier demonstration is replaced.
        pipeline: The pipeline to show.

    Raises:
        ConflictError: If the folder holds a gallery that is not the demonstration's.
        StorageError: If the folder cannot be written.
    """
    gallery_path, key_path = out / "people.gallery", out / "people.key"
    _clear(gallery_path, key_path)
    write_key_file(key_path, new_key())
    with Gallery.create(gallery_path, pipeline.contract, key=load_key(key_path)) as gallery:
        enrolled = [_enrol(gallery, pipeline, one, out) for one in _references()]
        point = gallery.operating_point(FPIR)
        answered = [_answer(gallery, pipeline, probe, out) for probe in _PROBES]
    result = DemoResult(
        enrolled=tuple(enrolled),
        answered=tuple(answered),
        point=point,
        contract=pipeline.contract.id,
        report=out / "report.html",
    )
    with write_atomically(result.report) as file:
        file.write(render_demo(result).encode())
    return result


def photo_path(name: str) -> Path:
    """Where a photo of the package lies."""
    return Path(str(files("mien") / "assets" / "photos" / name))


def astronaut_path() -> Path | None:
    """NASA's portrait of Eileen Collins in scikit-image; None if that is not installed.

    The package's files are looked at, none of its code is run.
    """
    spec = find_spec("skimage")
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [Path(place) / "data" / "astronaut.png" for place in places]
    return next((path for path in found if path.is_file()), None)


def _clear(gallery: Path, key: Path) -> None:
    """Remove the gallery of an earlier demonstration, and nothing else."""
    if not gallery.exists():
        return
    with Gallery.open(gallery, key=load_key(key) if key.exists() else None) as old:
        if any(template.consent != _CONSENT for template in old.index.iterate()):
            raise ConflictError(
                what=f"{gallery} holds people that the demonstration did not enrol",
                why="it would be replaced",
                mend="choose another folder with --out",
            )
    for path in gallery.parent.glob(f"{gallery.name}*"):
        path.unlink()
    key.unlink(missing_ok=True)


def _references() -> list[tuple[Path, str]]:
    photos = [(photo_path("obama_1.jpg"), "Barack Obama")]
    astronaut = astronaut_path()
    return photos if astronaut is None else [*photos, (astronaut, "Eileen Collins")]


def _enrol(
    gallery: Gallery, pipeline: FacePipeline, reference: tuple[Path, str], out: Path
) -> Enrolled:
    path, person = reference
    image = load_image(path)
    analysis = pipeline.analyse(image)
    row = analysis.main_face()
    template = gallery.enrol(person, analysis, pixels=image.pixels, consent=_CONSENT, row=row)
    picture = f"enrolled-{path.stem}.jpg"
    mark = Mark(template.box, person, "neutral")
    write_picture(out / picture, image.pixels, [mark])
    return Enrolled(path.name, person, picture, draw_portrait(image.pixels, mark))


def _answer(gallery: Gallery, pipeline: FacePipeline, probe: _Probe, out: Path) -> Answered:
    image = load_image(photo_path(probe.photo))
    analysis = pipeline.analyse(image, gate=QualityGate.probe())
    answers = gallery.identify(analysis, fpir=FPIR)
    if not answers:
        raise WeightsMissingError(
            what=f"no face was found on {probe.photo}",
            why="the detector of this installation does not work",
            mend="run `mien doctor`, and clear the weight cache that it names",
        )
    picture = f"identified-{Path(probe.photo).stem}.jpg"
    marks = marks_of(answers)
    write_picture(out / picture, image.pixels, marks)
    portrait = draw_portrait(image.pixels, marks[0])
    return Answered(probe.photo, probe.shows, probe.expected, answers[0], picture, portrait)


def render_demo(result: DemoResult) -> str:
    """The page of a demonstration."""
    right = sum(one.is_right for one in result.answered)
    point = result.point
    summary = facts(
        [
            ("Right answers", f"{right} of {len(result.answered)}"),
            ("Threshold", f"{point.threshold:.3f}"),
            ("False alarms tolerated", f"{FPIR:.0%} of searches"),
            ("People enrolled", str(len({one.person for one in result.enrolled}))),
        ],
        large=True,
    )
    parts: list[Html] = [summary]
    if right < len(result.answered):
        parts.append(notice("warning", "An answer is wrong. ", "See the table below."))
    parts += [
        section("Who is known", _strip([(e.person, e.portrait) for e in result.enrolled])),
        section(
            "Who is on these photos?",
            _strip([(label_of(a.answer.verdict), a.portrait) for a in result.answered]),
            _answers_table(result.answered),
        ),
        section("How to read this", *_reading(result)),
    ]
    return page(
        "mien: a demonstration",
        *parts,
        lead="Two people were enrolled with one photo each; then mien was asked who is on three "
        "other photos, one of which shows somebody it does not know.",
        footer=f"Made by mien {version('mien')}, contract {result.contract}. Photos: The White "
        "House and NASA, public domain.",
    )


def _strip(items: Sequence[tuple[str, UInt8]]) -> Html:
    """Pictures side by side, each with its words below."""
    figures = [
        element(
            "figure",
            thumbnail(portrait, words, side_px=_PORTRAIT_PX),
            element("figcaption", words),
        )
        for words, portrait in items
    ]
    return element("div", join(figures), class_="strip")


def _answers_table(answered: Sequence[Answered]) -> Html:
    columns = [
        Column("Photo"),
        Column("Shows"),
        Column("Decision"),
        Column("Best score", is_number=True),
        Column("Threshold", is_number=True),
        Column("Why"),
        Column("Right?"),
    ]
    rows = []
    for one in answered:
        verdict = one.answer.verdict
        score = "" if verdict.score is None else f"{verdict.score:.3f}"
        threshold = f"{verdict.point.threshold:.3f}" if verdict.point else ""
        decision = verdict.decision.replace("_", " ")
        named = f"{decision}: {verdict.person}" if verdict.person else decision
        rows.append(
            [
                one.photo,
                one.shows,
                named,
                score,
                threshold,
                "; ".join(verdict.reasons),
                "yes" if one.is_right else "no",
            ]
        )
    return table(columns, rows, caption="What was asked, and what was answered.")


def _reading(result: DemoResult) -> list[Html]:
    point = result.point
    low, high = point.fpir_interval or (0.0, 1.0)
    return [
        paragraph(
            "A score is the cosine between two templates. It is not a probability. The threshold "
            f"of {point.threshold:.3f} was not chosen by taste: with {point.comparisons} templates "
            f"in the gallery, about {point.fpir or 0:.1%} of searches for strangers would name "
            f"somebody (95 % interval {low:.2%} to {high:.2%}), as measured on the people of the "
            "calibration table. A larger gallery gets a higher threshold by itself."
        ),
        paragraph(
            "Unknown is a normal answer. Where two people are too close to each other mien says "
            "ambiguous, and a face too small, too dark or turned away is not comparable; it is "
            "never forced to be somebody."
        ),
        paragraph(
            "The gallery is the file people.gallery beside this page. Names and templates in it "
            "are sealed with the key in people.key, which lies beside it for this demonstration "
            "only: keep yours apart from the gallery, and a copy of it in a safe place."
        ),
    ]


def draw_portrait(pixels: UInt8, mark: Mark) -> UInt8:
    """The part of a photo that shows a face and its surroundings, four wide by five high.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        mark: The face in the photo, and its label.

    Returns:
        (720, about 576, 3) uint8 RGB, annotated; less wide if the photo is narrow.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = mark.box
    high = min((y1 - y0) / _FACE_SHARE, height, width * 5 / 4)
    wide = high * 4 / 5
    left = min(max((x0 + x1 - wide) / 2, 0), width - wide)
    top = min(max((y0 + y1) / 2 - 0.45 * high, 0), height - high)
    part = pixels[round(top) : round(top + high), round(left) : round(left + wide)]
    scale = _PORTRAIT_PX / part.shape[0]
    corner = round(left), round(top)
    box = [(v - corner[k % 2]) * scale for k, v in enumerate(mark.box)]
    shifted = Mark((box[0], box[1], box[2], box[3]), mark.label, mark.tone)
    return annotate(resize(part, scale), [shifted], scale=1.8)


def frame_of(pictures: Sequence[UInt8], *, height_px: int = 420, gap_px: int = 12) -> UInt8:
    """Pictures side by side on white, all of one height; for documentation.

    Args:
        pictures: (h, w, 3) uint8 RGB each.
        height_px: Height of the result.
        gap_px: White between them.
    """
    scaled = [resize(one, height_px / one.shape[0])[:height_px] for one in pictures]
    white = np.full((height_px, gap_px, 3), 255, np.uint8)
    parts: list[UInt8] = []
    for one in scaled:
        parts += [one, white]
    return np.concatenate(parts[:-1], 1)
