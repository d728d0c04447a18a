"""Errors and reasons in plain words."""

import pytest

from mien.core.errors import (
    BusyError,
    ConflictError,
    InputError,
    IntegrityError,
    QualityError,
    RefusedError,
)
from mien.faces.quality import Reject
from mien.gallery.conflicts import Conflict
from mien.gallery.decide import Decision
from mien.web.words import (
    CODES,
    DECISIONS,
    done,
    for_page,
    place_for_words,
    plural,
    reason,
    sentence,
    told,
)


def test_every_code_and_every_decision_has_words():
    assert {*map(str, Reject), *map(str, Conflict)} <= set(CODES)
    assert set(DECISIONS) == set(Decision)


def test_an_error_says_what_why_and_mend():
    said = told(InputError(what="no <face>", why="it is needed", mend="choose one"))
    assert "No &lt;face&gt;" in said
    assert "It is needed." in said
    assert "Choose one." in said
    assert 'role="alert"' in said


def test_an_error_with_codes_says_each_in_words_with_its_mend():
    error = QualityError(
        what="the picture: the face is not fit for enrolment (LOW_SHARPNESS)",
        why="y",
        mend="m",
        codes=["LOW_SHARPNESS", "EXTREME_POSE"],
    )
    said = told(error)
    assert "The face is not fit for enrolment<" in said
    assert "The face is blurred." in said
    assert "The head is turned too far." in said
    assert "<code>EXTREME_POSE</code>" in said


def test_a_conflict_without_codes_keeps_its_own_words():
    said = told(ConflictError(what="taken", why="there is one", mend="choose another"))
    assert "Choose another." in said


def test_faults_of_the_service_are_told_in_general_and_logged(caplog):
    said = told(IntegrityError(what="a file of the service", why="secret place", mend="m"))
    assert "secret" not in said
    assert "look into the log" in said
    assert "secret place" in caplog.text
    assert "Try later." in told(BusyError(what="w", why="y", mend="try later"))


def test_commands_become_places_of_the_page():
    strict = "pass --consent 'signed form 12' --retain-until 2027-01-31"
    said = told(RefusedError(what="w", why="y", mend=strict))
    assert "--" not in said
    assert "Fill in both fields." in said
    assert for_page("see `mien gallery history`") == "see the history in the tab People"


@pytest.mark.parametrize(
    ("text", "expected"), [("a b", "A b."), ("Ends.", "Ends."), ("why?", "Why?"), ("", "")]
)
def test_sentences_begin_large_and_end_with_a_stop(text, expected):
    assert sentence(text) == expected


def test_counts_have_their_noun():
    assert plural(1, "face") == "1 face"
    assert plural(1200, "face") == "1,200 faces"
    assert plural(2, "person", "people") == "2 people"


def test_a_reason_that_is_no_code_stands_for_itself():
    assert reason("score 0.7 reaches it") == ("Score 0.7 reaches it.",)


def test_markup_is_one_line_so_that_markdown_leaves_it_alone():
    place = place_for_words()
    assert place.postprocess("<p>a</p>\n\n# b") == "<div><p>a</p> # b</div>"
    assert place.postprocess("") == ""
    assert "\n" not in place.postprocess(done("a"))
