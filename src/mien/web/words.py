"""What the page says: results and errors in plain words, as markup that is safe to show.

Errors of the service's own side are told in general terms, as the API does; the log has more.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import gradio as gr

from mien.core.errors import BusyError, ExtraMissingError, MienError
from mien.core.log import logger
from mien.gallery.conflicts import Conflict
from mien.gallery.decide import Decision
from mien.reports.html import Content, Html, element, join, paragraph

Tone = Literal["good", "bad", "warn"]

CODES: Final[Mapping[str, tuple[str, str]]] = {
    "SMALL_BOUNDING_BOX": (
        "the face is too small",
        "use a picture in which the eyes are at least 20 pixels apart",
    ),
    "LOW_SHARPNESS": ("the face is blurred", "use a sharper picture, with a still camera"),
    "LOW_BRIGHTNESS": ("the face is too dark", "use a picture with light from the front"),
    "HIGH_BRIGHTNESS": ("the face is too bright", "use a picture without glare or flash"),
    "EXTREME_POSE": ("the head is turned too far", "use a picture taken from the front"),
    "LOW_CONFIDENCE": (
        "it is not certain that this is a face",
        "use a picture that shows all of it, uncovered",
    ),
    "FACE_CUT_OFF": ("a part of the face is outside the picture", "use one that shows all of it"),
    "LANDMARKS_UNRELIABLE": (
        "eyes, nose and mouth were not found reliably",
        "use a picture that shows them uncovered",
    ),
    "EXCEEDS_MAX_FACES": ("the picture shows several faces", "choose which face is meant"),
    str(Conflict.ASSOCIATED_TO_A_DIFFERENT_USER): (
        "it resembles another person of the gallery more",
        "compare the two pictures; if the name is right, tick “Enrol anyway” and try again",
    ),
    str(Conflict.LOW_MATCH_CONFIDENCE): (
        "it resembles its own person no more than a stranger does",
        "check the name; if it is right, tick “Enrol anyway” and try again",
    ),
}
"""Each reason code with what it means and what helps."""

DECISIONS: Final[Mapping[Decision, str]] = {
    Decision.MATCH: "match",
    Decision.UNKNOWN: "unknown",
    Decision.AMBIGUOUS: "ambiguous",
    Decision.NOT_COMPARABLE: "not comparable",
    Decision.DIFFERENT: "different",
}

_COMMANDS: Final = (
    ("see `mien gallery history`", "see the history in the tab People"),
    ("take that note back first: see `mien gallery history`", "take that note back first"),
    ("run `mien gallery verify`", "use “Verify” in the tab Settings"),
    ("pass --consent 'signed form 12' --retain-until 2027-01-31", "fill in both fields"),
    ("check the clock, then confirm: mien gallery expire --confirm", "check the clock, then "
     "tick “The clock is right” and run it again"),
    ("make one with: mien calibrate DIR --table table.json", "make one with: mien calibrate"),
)  # fmt: skip


def message(tone: Tone, title: str, *content: Content) -> str:
    """A box with a message; screen readers say it at once.

    Args:
        tone: What its colour says; the words say it too.
        title: The first line.
        content: What follows.
    """
    role = "alert" if tone == "bad" else "status"
    inside = (element("strong", title), *content)
    return element("div", *inside, class_=f"message {tone}", role=role).markup


def done(title: str, *content: Content) -> str:
    """What was done."""
    return message("good", title, *content)


def told(error: MienError) -> str:
    """An error: what was found, why that cannot work, how to mend it, and the codes."""
    if error.status >= 500 and not isinstance(error, (BusyError, ExtraMissingError)):
        logger.error("page: %s: %s", type(error).__name__, error)
        title = f"The service could not do it ({error.code})"
        why, mend = "the fault is on its own side", "ask whoever runs it to look into the log"
    else:
        title, why, mend = sentence(error.what).rstrip("."), error.why, for_page(error.mend)
    listed = error.facts.get("codes")
    codes = [str(code) for code in listed] if isinstance(listed, (list, tuple)) else []
    parts = [paragraph(sentence(why)), paragraph(sentence(mend))]
    if any(code in CODES for code in codes):
        title = title.rpartition(": ")[2].partition(" (")[0]
        parts = [reasons_list(codes)]
    return message("bad", sentence(title).rstrip("."), *parts)


def reasons_list(codes: Iterable[str]) -> Html:
    """Reason codes, each in plain words with what helps."""
    return element("ul", *(element("li", *reason(code)) for code in codes))


def reason(code: str) -> tuple[Content, ...]:
    """A reason code in plain words; a reason that is no code stands for itself."""
    if code not in CODES:
        return (sentence(code),)
    meaning, mend = CODES[code]
    return sentence(meaning), " ", sentence(mend), " ", element("code", code)


def sentence(text: str) -> str:
    """Text with a capital letter and a full stop."""
    text = text.strip()
    end = "" if text.endswith((".", "!", "?", ":")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}" if text else ""


def for_page(mend: str) -> str:
    """A mend that names a command, in terms of the page."""
    for command, words in _COMMANDS:
        mend = mend.replace(command, words)
    return mend


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def words_block(*content: Content) -> str:
    """Running text."""
    return join(content).markup


def place_for_words(*, name: str | None = None, value: str = "") -> gr.Markdown:
    """A place for markup of ours.

    It is Gradio's Markdown, not its HTML: that one runs its content as a script's template, which
    the page's security policy forbids.

    Args:
        name: Unique on the page.
        value: What stands there at first.
    """
    place = gr.Markdown(
        _one_block(value),
        sanitize_html=False,
        latex_delimiters=[],
        elem_classes="words",
        elem_id=name,
    )
    vars(place)["postprocess"] = _one_block
    return place


def _one_block(markup: Any) -> Any:
    """A block on one line is what Markdown leaves as it is."""
    return (
        f"<div>{' '.join(markup.split())}</div>" if isinstance(markup, str) and markup else markup
    )
