"""Enrolment and identification, by Python."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PilImage

from mien.core.errors import (
    ConflictError,
    ContractError,
    IdentityMissingError,
    InputError,
    IntegrityError,
    MissingError,
    NoFaceError,
    QualityError,
    RangeError,
    RefusedError,
)
from mien.core.keys import Key
from mien.faces.contract import Contract
from mien.faces.quality import QualityGate
from mien.gallery.calibration import Provenance, calibrate
from mien.gallery.decide import Decision
from mien.gallery.gallery import Gallery
from mien.media.image import load_image
from toys.templates import draw_people


@pytest.fixture
def gallery(tmp_path, pipeline):
    with Gallery.create(tmp_path / "people.gallery", pipeline.contract) as made:
        yield made


@pytest.fixture
def enrol(gallery, pipeline, portraits):
    def add(name, person, **options):
        image = load_image(portraits[name])
        analysis = pipeline.analyse(image)
        return gallery.enrol(person, analysis, pixels=image.pixels, **options)

    return add


def scene(portraits):
    picture = PilImage.new("RGB", (1100, 600), (90, 110, 130))
    picture.paste(PilImage.open(portraits["obama_3"]).resize((400, 600)), (350, 0))
    picture.paste(PilImage.open(portraits["biden_1"]).resize((220, 500)), (0, 100))
    return np.asarray(picture)


def test_the_stored_template_is_what_was_seen(enrol, gallery, analyses):
    template = enrol("obama_1", "Barack Obama", consent="public figure")
    (stored,) = gallery.index.get([template.face_id])
    assert stored.person == "Barack Obama"
    assert stored.consent == "public figure"
    assert stored.enrolled_at.endswith("+00:00")
    assert len(stored.digest) == 64
    assert float(stored.vector @ analyses["obama_1"].faces.embeddings[0]) > 0.9999
    assert stored.source.endswith("obama_1.jpg")


def test_every_face_of_a_picture_gets_an_answer(enrol, gallery, pipeline, portraits):
    enrol("obama_1", "Barack Obama")
    answers = gallery.identify(pipeline.analyse(scene(portraits)))
    decisions = {answer.verdict.decision: answer for answer in answers}
    assert len(answers) == 2
    assert decisions[Decision.MATCH].verdict.person == "Barack Obama"
    assert decisions[Decision.MATCH].box[0] > 350
    assert decisions[Decision.UNKNOWN].verdict.person is None


def test_refused_faces_are_not_comparable(enrol, gallery, pipeline, portraits):
    enrol("obama_1", "Barack Obama")
    gate = QualityGate(min_inter_eye_px=500)
    (answer,) = gallery.identify(pipeline.analyse(portraits["obama_2"], gate=gate))
    assert answer.verdict.decision is Decision.NOT_COMPARABLE
    assert answer.verdict.reasons == ("SMALL_BOUNDING_BOX",)


def test_one_person_under_two_names_is_ambiguous(enrol, gallery, pipeline, portraits):
    enrol("obama_1", "Barack Obama")
    with pytest.raises(ConflictError, match="ASSOCIATED_TO_A_DIFFERENT_USER"):
        enrol("obama_3", "B. Obama")
    enrol("obama_3", "B. Obama", force=True)
    (answer,) = gallery.identify(pipeline.analyse(portraits["obama_2"]), margin=0.3)
    assert answer.verdict.decision is Decision.AMBIGUOUS
    assert answer.verdict.person is None
    assert {c.person for c in answer.verdict.candidates} == {"Barack Obama", "B. Obama"}


def test_several_photos_of_one_person_are_no_rivals(enrol, gallery, pipeline, portraits):
    enrol("obama_1", "Barack Obama")
    enrol("obama_3", "Barack Obama")
    (answer,) = gallery.identify(pipeline.analyse(portraits["obama_2"]), margin=0.3)
    assert answer.verdict.decision is Decision.MATCH


def test_the_threshold_rises_with_the_gallery(enrol, gallery):
    enrol("obama_1", "Barack Obama")
    one = gallery.operating_point(0.01)
    enrol("obama_2", "Barack Obama")
    enrol("biden_1", "Joe Biden")
    three = gallery.operating_point(0.01)
    assert three.threshold > one.threshold
    assert three.fmr < one.fmr
    assert three.comparisons == 3


def test_no_face_cannot_be_enrolled(gallery, pipeline):
    blank = np.full((200, 200, 3), 120, np.uint8)
    with pytest.raises(NoFaceError, match="no face was found; a template is made from a face"):
        gallery.enrol("Ada", pipeline.analyse(blank), pixels=blank)


def test_many_faces_need_a_choice(gallery, pipeline, portraits):
    picture = scene(portraits)
    analysis = pipeline.analyse(picture)
    with pytest.raises(InputError, match="2 faces were found; it is not clear which"):
        gallery.enrol("Ada", analysis, pixels=picture)
    stored = gallery.enrol("Ada", analysis, pixels=picture, row=analysis.main_face())
    assert stored.box[0] > 350


def test_a_poor_face_is_refused_with_codes(gallery, pipeline, portraits):
    small = np.asarray(PilImage.open(portraits["obama_1"]).resize((64, 80)))
    with pytest.raises(QualityError, match="not fit for enrolment") as caught:
        gallery.enrol("Ada", pipeline.analyse(small), pixels=small)
    assert "SMALL_BOUNDING_BOX" in caught.value.facts["codes"]
    assert gallery.count().faces == 0


def test_a_face_that_the_pipeline_refused_keeps_its_codes(gallery, pipeline, portraits):
    image = load_image(portraits["obama_1"])
    analysis = pipeline.analyse(image, gate=QualityGate(max_luminance=0.3, min_luminance=0.1))
    with pytest.raises(QualityError) as caught:
        gallery.enrol("Ada", analysis, pixels=image.pixels)
    assert caught.value.facts["codes"] == ["HIGH_BRIGHTNESS"]


def test_the_same_face_twice_is_a_conflict(enrol, gallery):
    first = enrol("obama_1", "Barack Obama")
    with pytest.raises(ConflictError, match="enrolled already, for the same person") as same:
        enrol("obama_1", "Barack Obama")
    with pytest.raises(ConflictError, match="enrolled already, for another person") as other:
        enrol("obama_1", "Joe Biden")
    assert same.value.facts == {"face_id": first.face_id, "same_person": True}
    assert other.value.facts["same_person"] is False
    assert "Obama" not in str(other.value)
    assert gallery.count().faces == 1


def test_two_people_on_one_photo_are_no_conflict(gallery, pipeline, portraits):
    picture = scene(portraits)
    analysis = pipeline.analyse(picture)
    gallery.enrol("Ada", analysis, pixels=picture, row=0)
    gallery.enrol("Bob", analysis, pixels=picture, row=1)
    assert gallery.count().people == 2


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 201])
def test_names_that_cannot_be_found_again_are_refused(enrol, name):
    with pytest.raises(InputError, match="name is empty, over 200 characters, or holds control"):
        enrol("obama_1", name)


def test_names_in_any_script_are_kept(enrol, gallery):
    enrol("obama_1", "  李小龍 Žižek O'Brien ")
    assert gallery.index.people() == [("李小龍 Žižek O'Brien", 1)]


def test_another_pipeline_is_refused_everywhere(tmp_path, gallery, pipeline, portraits):
    path = tmp_path / "people.gallery"
    other = Contract("yunet", "9", 1, "other", "9", 128)
    with pytest.raises(ContractError, match="the gallery holds templates of sface-128-.*not of"):
        Gallery.open(path, other)
    from dataclasses import replace

    image = load_image(portraits["obama_1"])
    analysis = pipeline.analyse(image)
    foreign = replace(analysis, faces=analysis.faces.with_contract(other.id))
    with pytest.raises(ContractError, match="scores between templates of two pipelines"):
        gallery.enrol("Ada", foreign, pixels=image.pixels)
    with pytest.raises(ContractError):
        gallery.identify(foreign)
    assert gallery.count().faces == 0


def test_templates_that_are_nan_do_not_enter(gallery, pipeline, portraits):
    from dataclasses import replace

    image = load_image(portraits["obama_1"])
    analysis = pipeline.analyse(image)
    broken = np.full_like(analysis.faces.embeddings, np.nan)
    bad = replace(analysis, faces=analysis.faces.with_embeddings(broken, analysis.faces.contract))
    with pytest.raises(RangeError, match="templates are finite and of length 1"):
        gallery.enrol("Ada", bad, pixels=image.pixels)
    with pytest.raises(RangeError, match="a query is not finite"):
        gallery.identify(bad)
    assert gallery.count().faces == 0


def test_a_deleted_person_becomes_unknown(enrol, gallery, pipeline, portraits):
    enrol("obama_1", "Barack Obama")
    enrol("biden_1", "Joe Biden")
    receipt = gallery.deletion.person("Barack Obama")
    assert receipt.is_complete
    assert receipt.removed["faces"] == 1
    (answer,) = gallery.identify(pipeline.analyse(portraits["obama_2"]))
    assert answer.verdict.decision is Decision.UNKNOWN
    with pytest.raises(IdentityMissingError, match="nobody of that name"):
        gallery.deletion.person("Barack Obama")


def test_a_calibration_of_ones_own_is_kept(tmp_path, enrol, gallery, pipeline):
    enrol("obama_1", "Barack Obama")
    shipped = gallery.operating_point(0.01)
    rows, names = draw_people(40, 4, dim=128, spread=1.5)
    provenance = Provenance("toys", "2026-11-24", "0", "all", 0, 20)
    table, _ = calibrate(rows, names, contract=pipeline.contract.id, provenance=provenance)
    gallery.keep_calibration(table)
    assert gallery.operating_point(0.01).threshold != shipped.threshold
    with Gallery.open(tmp_path / "people.gallery") as again:
        assert again.calibration.provenance.data == "toys"


def test_a_calibration_of_another_pipeline_is_refused(gallery):
    rows, names = draw_people(40, 4, dim=128)
    provenance = Provenance("toys", "2026-11-24", "0", "all", 0, 20)
    table, _ = calibrate(rows, names, contract="other", provenance=provenance)
    with pytest.raises(ContractError, match="the calibration is of other"):
        gallery.keep_calibration(table)


def test_a_contract_without_a_table_cannot_identify(tmp_path, pipeline, portraits):
    from dataclasses import replace

    contract = Contract("paper", "1", 1, "paper", "1", 128)
    with Gallery.create(tmp_path / "paper.gallery", contract) as paper:
        analysis = pipeline.analyse(portraits["obama_1"])
        foreign = replace(analysis, faces=analysis.faces.with_contract(contract.id))
        with pytest.raises(MissingError, match="no calibration for the contract paper-128-"):
            paper.identify(foreign)


def test_a_damaged_calibration_is_named(gallery):
    gallery.index.write_note("calibration", "{}")
    with pytest.raises(IntegrityError, match="the gallery's calibration is not a calibration"):
        gallery.operating_point(0.01)


def test_a_crop_is_kept_if_asked_for(enrol, gallery):
    kept = enrol("obama_1", "Barack Obama", keep_crop=True)
    other = enrol("biden_1", "Joe Biden")
    crop = PilImage.open(BytesIO(gallery.people.crop(kept.face_id)))
    assert crop.format == "JPEG"
    assert crop.size[0] == crop.size[1] <= 192
    assert gallery.people.crop(other.face_id) is None


def test_the_wrong_photo_in_a_folder_is_refused(enrol, gallery):
    enrol("obama_1", "Barack Obama")
    enrol("biden_1", "Joe Biden")
    with pytest.raises(ConflictError, match="speaks against its name") as caught:
        enrol("obama_2", "Joe Biden")
    assert "ASSOCIATED_TO_A_DIFFERENT_USER" in caught.value.facts["codes"]
    assert "Obama" not in str(caught.value).replace("obama_2", "")
    assert gallery.count().faces == 2


def test_a_gallery_opens_with_its_own_key_only(tmp_path, pipeline):
    path = tmp_path / "sealed.gallery"
    Gallery.create(path, pipeline.contract, key=Key(b"a" * 32)).close()
    with pytest.raises(RefusedError, match="sealed with the key"):
        Gallery.open(path)
    with pytest.raises(RefusedError):
        Gallery.open(path, key=Key(b"b" * 32))
    Gallery.open(path, key=Key(b"a" * 32)).close()


def test_days_of_deletion_are_days(enrol, gallery):
    with pytest.raises(InputError, match="the day of deletion is 'soon'"):
        enrol("obama_1", "Barack Obama", retain_until="soon")
    stored = enrol("obama_1", "Barack Obama", retain_until="2030-01-31")
    assert gallery.index.get([stored.face_id])[0].retain_until == "2030-01-31"


def test_a_strict_gallery_takes_nobody_without_a_ground(tmp_path, pipeline, portraits):
    image = load_image(portraits["obama_1"])
    analysis = pipeline.analyse(image)
    with Gallery.create(tmp_path / "strict.gallery", pipeline.contract, strict=True) as gallery:
        with pytest.raises(RefusedError, match="without a consent or without a day"):
            gallery.enrol("Barack Obama", analysis, pixels=image.pixels, consent="form 1")
        gallery.enrol(
            "Barack Obama",
            analysis,
            pixels=image.pixels,
            consent="form 1",
            retain_until="2030-01-31",
        )
        assert gallery.count().faces == 1


def test_what_happened_to_a_gallery_is_in_its_journal(enrol, gallery):
    enrol("obama_1", "Barack Obama", actor="key 1")
    enrol("biden_1", "Joe Biden")
    gallery.people.rename("Joe Biden", "President Biden")
    gallery.journal.undo()
    gallery.deletion.person("Barack Obama")
    assert [one.op for one in gallery.journal.entries()] == ["delete", "undo", "rename", "enrol"]
