"""What the tabs say, without a browser; how they work together is in test_page."""

import re
from types import SimpleNamespace

import pytest

from mien.core.errors import ConflictError, InputError
from mien.gallery.calibration import shipped_table
from mien.gallery.decide import Decision, Verdict
from mien.media.image import load_image
from mien.server.audit import AuditLog
from mien.web.tabs import (
    _history,
    _person,
    calibration,
    enrol,
    identify,
    people,
    review,
    settings,
    stored,
    unknown,
    video,
)
from toys.portraits import portrait_path


@pytest.fixture
def visit(tmp_path, pipeline, analyses):
    """Somebody who may do everything, in a gallery with two people."""
    from mien.gallery.gallery import Gallery

    with Gallery.create(tmp_path / "ours.gallery", pipeline.contract) as gallery:
        for portrait, name in (("obama_1", "Barack Obama"), ("biden_1", "Joe <Biden>")):
            image = load_image(portrait_path(portrait))
            gallery.enrol(name, analyses[portrait], pixels=image.pixels)
        audit = AuditLog(tmp_path / "audit.jsonl")
        made = SimpleNamespace(gallery=gallery, collection="ours", actor="12345678")
        made.may = lambda scope: True
        made.change = lambda action: audit.change(action, key_id="12345678", collection="ours")
        fixed = SimpleNamespace(keep_sightings_days=0, allow_fetch=False)
        made.state = SimpleNamespace(
            settings=fixed,
            keys=SimpleNamespace(list=list),
            collections=SimpleNamespace(key=SimpleNamespace(id="abcdef01")),
        )
        yield made


def keep(visit, analyses, portrait):
    """Keep a portrait's face for review."""
    faces = analyses[portrait].faces
    (verdict,) = visit.gallery.decide(faces.embeddings)
    return visit.gallery.review.keep(
        faces.embeddings[0],
        verdict,
        crop=b"jpeg",
        quality=80.0,
        digest=f"{portrait:0>64}",
        box=(0.0, 0.0, 9.0, 9.0),
        days=3,
    )


def test_people_are_listed_with_initials_and_what_is_missing(visit):
    markup, chosen, *_ = people._refreshed(visit, "", "")
    assert "2 people in the gallery." in markup
    assert ">BO<" in markup
    assert "consent missing" in markup
    assert "Joe &lt;Biden&gt;" in markup
    assert chosen == ""


def test_people_are_found_by_a_part_of_their_name(visit):
    assert "Biden" not in people._refreshed(visit, " barack", "")[0]
    assert "Nobody&#x27;s name has this in it." in people._refreshed(visit, "zz", "")[0]


def test_a_person_who_is_gone_is_no_longer_chosen(visit):
    assert people._refreshed(visit, "", "f" * 32)[1] == ""


def test_every_update_of_the_people_tab_has_its_control(visit):
    person = visit.gallery.people.all()[0]
    for chosen in (None, person):
        values = _person.updates(visit, chosen, visit.gallery.people.all())
        assert len(values) == 5 + 2 + 4


def test_actions_without_a_choice_say_what_to_choose(visit):
    with pytest.raises(InputError, match="no other person was chosen"):
        _person._merge(visit, "x", None)
    with pytest.raises(InputError, match="no face is ticked"):
        _person._split(visit, "x", " ", "New")
    with pytest.raises(InputError, match="there is no change to take back"):
        _history._undo(visit, None)
    with pytest.raises(InputError, match="no face is chosen"):
        review._discard(visit, "")
    with pytest.raises(InputError, match="no group is chosen"):
        unknown._discard(visit, "")
    with pytest.raises(InputError, match="no film was chosen"):
        video._film(None)


def test_the_history_names_people_who_are_there_and_takes_back(visit):
    one, other = (p.person_id for p in visit.gallery.people.all())
    said, then = _person._merge(visit, other, one)
    assert "Merged into Barack Obama" in said
    assert then == one
    markup, choice = _history.updates(visit, visit.gallery.people.all())
    assert "two people made one" in markup
    assert choice["value"] == 3
    assert "Taken back: change 3" in _history._undo(visit, 3)


def test_a_deletion_shows_each_check_and_a_receipt_to_keep(visit):
    person = visit.gallery.people.find("Barack Obama")
    said, then = _person._delete(visit, person.person_id)
    assert then == ""
    assert "Removed: 1 face" in said
    assert said.count("nothing left") == 4
    assert 'download="receipt-1.json"' in said


def test_faces_are_amended_together(visit):
    faces = visit.gallery.people.faces("Barack Obama")
    said, _ = _person._amend(visit, "x", faces[0].face_id, "form 7", "2099-01-31")
    assert "Noted for 1 face" in said
    (changed,) = visit.gallery.people.faces("Barack Obama")
    assert (changed.consent, changed.retain_until) == ("form 7", "2099-01-31")


def test_a_kept_face_is_confirmed_or_rejected(visit, analyses):
    kept = keep(visit, analyses, "obama_2")
    markup, _, whole, head, confirm, *_ = review._refreshed(visit, kept)
    assert "1 face waiting" in markup
    assert whole["visible"]
    assert "Barack Obama" in head
    assert confirm["value"] == "Confirm: it is Barack Obama"
    assert "Enrolled as Barack Obama" in review._confirm(visit, kept, "", "", False)[0]
    kept = keep(visit, analyses, "obama_3")
    assert "Noted: it is not Barack Obama" in review._reject(visit, kept)[0]
    assert visit.gallery.review.all() == []


def test_a_kept_face_against_the_evidence_is_asked_about(visit, analyses):
    kept = keep(visit, analyses, "obama_2")
    said, *rest = review._assign(visit, kept, "Joe <Biden>", "", "", False)
    assert "It resembles another person of the gallery more." in said
    assert rest[-1]["visible"]
    assert "Enrolled as Joe" in review._assign(visit, kept, "Joe <Biden>", "", "", True)[0]


def test_unknown_faces_are_grouped_by_person(visit, analyses):
    for portrait in ("obama_1", "biden_1", "obama_2", "obama_3"):
        keep(visit, analyses, portrait)
    groups = unknown.groups_of(visit.gallery.review.all())
    assert [len(group) for group in groups] == [3, 1]
    assert unknown.groups_of([]) == []
    said = unknown._discard(visit, unknown._id_of(groups[1]))[0]
    assert "Discarded: 1 face" in said


def test_a_group_with_one_stranger_is_named_in_part(visit, analyses):
    for portrait in ("obama_2", "biden_1"):
        keep(visit, analyses, portrait)
    ids = " ".join(seen.sighting_id for seen in visit.gallery.review.all())
    said = unknown._name(visit, ids, "Barack Obama", "", "")[0]
    assert "Named in part: Barack Obama" in said
    assert len(visit.gallery.review.all()) == 1


def test_identify_says_what_was_decided_in_words():
    refused = Verdict(Decision.NOT_COMPARABLE, None, None, None, ("LOW_SHARPNESS",))
    row = identify._row(refused)
    assert row[1:3] == ["–", "–"]
    assert "The face is blurred." in row[3].markup
    assert "Switched off" in identify._keeping_words(0)
    assert "at most 30 days" in identify._keeping_words(30)


def test_a_conflict_shows_whom_the_face_resembles_only_to_those_who_may_search(visit):
    other = visit.gallery.people.find("Barack Obama").person_id
    error = ConflictError(what="w", why="y", mend="m", own=0.1, other=0.7, other_person=other)
    assert "Likeness to Barack Obama: 0.700." in enrol._likeness(visit, error)
    visit.may = lambda scope: False
    assert "Likeness to another person: 0.700." in enrol._likeness(visit, error)


def test_settings_refuse_rates_that_the_calibration_cannot_show(visit):
    markup = settings._described(visit)
    assert "abcdef01" in markup
    assert markup.count("1\u00a0in\u00a0100 ") <= 1
    assert (
        "cannot show" in settings._threshold_row(visit.gallery.calibration, 1e-4, 10**6)[1].content
    )


def test_settings_verify_and_strict_mode(visit):
    assert "The gallery is sound" in settings._verify(visit)[0]
    assert settings._make_strict(visit, True)[2]
    assert visit.gallery.is_strict


def test_what_is_stored_follows_the_settings(visit):
    text = re.sub("<[^>]*>", "", stored._show(visit)[1])
    assert "keeps no faces of people who are not enrolled" in text
    assert "people without a noted consent2" in text
    assert "ask no other machine" in text
    visit.state.settings = SimpleNamespace(keep_sightings_days=7, allow_fetch=True)
    text = re.sub("<[^>]*>", "", stored._show(visit)[1])
    assert "for at most 7 days" in text
    assert "allow_fetch" in text


def test_the_calibration_is_shown_with_its_origin_and_may_be_replaced(visit, tmp_path):
    said, markup = calibration._show(visit)
    assert said == ""
    assert "the table that mien ships" in markup
    assert markup.count("<svg") == 2
    table = shipped_table(visit.gallery.index.contract)
    path = tmp_path / "table.json"
    table.save(path)
    said, markup = calibration._use(visit, str(path))
    assert "The gallery uses this table now" in said
    with pytest.raises(InputError, match="no file was chosen"):
        calibration._use(visit, None)
    path.write_text("[]")
    with pytest.raises(InputError, match="the file is not a calibration table"):
        calibration._use(visit, str(path))


def test_a_film_without_faces_says_so():
    assert "No face was seen" in video._table(SimpleNamespace(tracks=()))
