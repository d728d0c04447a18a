"""The page from end to end: a real service, a real browser, the portraits of the package."""

import json
import time

import numpy as np
import pytest

from mien.media.geometry import resize
from mien.media.image import load_image
from mien.media.video import VideoWriter
from toys.portraits import portrait_path

pytestmark = [
    pytest.mark.enable_socket,
    # Gradio asks pandas for what is on its way out.
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|copy keyword):DeprecationWarning"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Three seconds of a portrait that stands still."""
    pixels = load_image(portrait_path("obama_2")).pixels
    small = resize(pixels, 480 / max(pixels.shape[:2]))
    height, width = (side // 2 * 2 for side in small.shape[:2])
    frame = np.ascontiguousarray(small[:height, :width])
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with VideoWriter(path, rate_hz=10, width=width, height=height) as writer:
        for _ in range(30):
            writer.write(frame)
    return path


def test_a_wrong_key_is_refused_and_a_right_one_says_what_it_may_do(site, visit):
    _, name = site.gallery()
    visitor = visit()
    visitor.log_in("mien_00000000_wrong")
    assert "The API key is not valid" in visitor.page.get_by_role("alert").inner_text()
    visitor.shoot("login")
    visitor.log_in(site.key(name, ("search",)))
    assert "It may: search" in visitor.page.locator("#who").inner_text()
    enrol = visitor.tab("Enrol")
    visitor.sees("Your key may not enrol people here")
    assert enrol.get_by_role("button", name="Enrol", exact=True).is_disabled()
    visitor.tab("Settings").locator("h2", has_text=f"The gallery {name}").wait_for()
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.get_by_label("API key").wait_for()


def test_the_page_asks_this_machine_only(site, visit):
    _, name = site.gallery()
    visitor = visit(site.key(name))
    for tab in ("Identify", "People", "Calibration", "What is stored"):
        visitor.tab(tab)
        visitor.page.wait_for_timeout(200)
    origin = site.address.removesuffix("/app")
    strange = [url for url in visitor.asked if not url.startswith((origin, "data:", "blob:"))]
    assert strange == []
    assert visitor.faults == []


def test_enrol_identify_review_and_name_a_new_person(site, visit):
    gallery, name = site.gallery()
    visitor = visit(site.key(name))
    panel = visitor.tab("Enrol")
    visitor.upload(panel, "obama_1")
    panel.locator("figure.picture img").wait_for()
    panel.get_by_label("Name").fill("Barack Obama")
    panel.get_by_label("Consent").fill("public portrait")
    panel.get_by_label("Day of deletion").fill("2099-01-31")
    visitor.press(panel, "Enrol")
    visitor.sees("Enrolled: Barack Obama")
    visitor.shoot("enrol")
    assert gallery.people.find("Barack Obama").has_consent

    panel = visitor.tab("Identify")
    visitor.upload(panel, "obama_2")
    visitor.press(panel, "Identify")
    visitor.sees("Match: Barack Obama")
    assert "reaches the threshold" in panel.locator("table").inner_text()
    visitor.shoot("identify")
    panel.get_by_label("Keep faces that were not named").check()
    panel.get_by_label("For how many days").fill("7")
    visitor.upload(panel, "biden_1")
    visitor.press(panel, "Identify")
    visitor.sees("One face: unknown")
    (kept,) = gallery.review.all()
    assert float(np.linalg.norm(kept.vector)) == pytest.approx(1, abs=1e-3)

    panel = visitor.tab("Review")
    panel.locator("button.card").click()
    panel.get_by_role("button", name="Confirm: it is Barack Obama").wait_for()
    visitor.shoot("review")
    panel.get_by_label("Name of another or a new person").fill("Joe Biden")
    visitor.press(panel, "Enrol under this name")
    visitor.sees("Enrolled as Joe Biden")
    assert gallery.count().people == 2
    assert gallery.review.all() == []


def test_a_face_that_speaks_against_its_name_is_enrolled_only_after_a_look(site, visit):
    gallery, name = site.gallery(obama_1="Barack Obama")
    visitor = visit(site.key(name))
    panel = visitor.tab("Enrol")
    visitor.upload(panel, "obama_3")
    panel.locator("figure.picture img").wait_for()
    assert not panel.get_by_label("Enrol anyway").is_visible()
    panel.get_by_label("Name").fill("Somebody Else")
    visitor.press(panel, "Enrol")
    visitor.sees("The face speaks against its name")
    assert "ASSOCIATED_TO_A_DIFFERENT_USER" in panel.inner_text()
    panel.get_by_text("Likeness to Barack Obama: 0.7").wait_for()
    visitor.shoot("conflict")
    panel.get_by_label("Enrol anyway").check()
    visitor.press(panel, "Enrol")
    visitor.sees("Enrolled: Somebody Else")
    assert gallery.count().people == 2


def test_merge_undo_split_and_delete_with_a_receipt(site, visit):
    gallery, name = site.gallery(obama_1="Barack Obama", biden_1="Joe Biden")
    visitor = visit(site.key(name))
    panel = visitor.tab("People")
    panel.locator("button.card", has_text="Joe Biden").click()
    panel.locator("h2", has_text="Joe Biden").wait_for()
    visitor.open(panel, "Same person as somebody else")
    panel.get_by_label("The other person").click()
    visitor.page.get_by_role("option", name="Barack Obama").click()
    visitor.press(panel, "Merge into the other person")
    visitor.sees("Merged into Barack Obama")
    assert gallery.people.find("Barack Obama").faces == 2

    visitor.open(panel, "History")
    visitor.press(panel, "Take back")
    visitor.sees("Taken back: change 3")
    assert sorted(p.name for p in gallery.people.all()) == ["Barack Obama", "Joe Biden"]

    site.enrol(gallery, "obama_2", "Barack Obama")
    visitor.tab("Identify")
    panel = visitor.tab("People")  # he is chosen still
    panel.locator("button.card", has_text="2 faces").wait_for()
    panel.locator("label.card", has_text="Face 2").get_by_role("checkbox").check()
    visitor.open(panel, "Ticked faces")
    panel.get_by_label("Name of the new person").fill("The President")
    visitor.shoot("people")
    visitor.press(panel, "Split off the ticked faces")
    visitor.sees("Split off: The President")
    assert gallery.people.find("The President").faces == 1

    panel.locator("button.card", has_text="The President").click()
    panel.locator("h2", has_text="The President").wait_for()
    visitor.press(panel, "Delete this person …")
    visitor.sees("Delete The President for good?")
    visitor.press(panel, "Keep")
    panel.get_by_role("button", name="Delete for good").wait_for(state="hidden")
    visitor.press(panel, "Delete this person …")
    visitor.press(panel, "Delete for good")
    visitor.sees("Deleted. Receipt 1")
    visitor.shoot("receipt")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_text("Download the signed receipt").click()
    receipt = json.loads(download.value.path().read_text())
    assert receipt["checks"]["store"] == "absent"
    assert "President" not in json.dumps(receipt)
    assert gallery.count().people == 2


def test_unknown_people_are_put_together_and_named_at_once(site, visit):
    gallery, name = site.gallery(biden_1="Joe Biden")
    visitor = visit(site.key(name))
    panel = visitor.tab("Identify")
    panel.get_by_label("Keep faces that were not named").check()
    for portrait in ("obama_1", "obama_3"):
        visitor.upload(panel, portrait)
        visitor.press(panel, "Identify")
        expected = {"obama_1": 1, "obama_3": 2}[portrait]
        for _ in range(150):
            if len(gallery.review.all()) == expected:
                break
            visitor.page.wait_for_timeout(100)
    panel = visitor.tab("Unknown people")
    panel.locator("button.card", has_text="2 faces").click()
    panel.locator("h2", has_text="2 faces of one person?").wait_for()
    visitor.shoot("unknown")
    panel.get_by_label("Name").fill("Barack Obama")
    visitor.press(panel, "Enrol all under this name")
    visitor.sees("Named: Barack Obama")
    assert gallery.people.find("Barack Obama").faces == 2


def test_login_and_identify_need_no_mouse(site, visit):
    _, name = site.gallery(obama_1="Barack Obama")
    visitor = visit()
    page, keys = visitor.page, visitor.page.keyboard
    page.goto(f"{site.address}/")
    keys.type(site.key(name))  # the field has the focus
    keys.press("Enter")
    page.locator("#who >> text=Logged in").wait_for()

    def go_to(what: str) -> None:
        for _ in range(40):
            keys.press("Tab")
            if page.evaluate(f"document.activeElement?.matches({json.dumps(what)}) ?? false"):
                return
        pytest.fail(f"{what} is not reached by the keyboard")

    go_to('[role="tab"]')
    keys.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Identify"
    keys.press("Enter")
    panel = page.locator("[role=tabpanel]:visible")
    panel.locator("input[type=range]").wait_for()
    with page.expect_file_chooser() as chooser:
        go_to('[role="tabpanel"] button[aria-dropeffect], [role="tabpanel"] button.center')
        keys.press("Enter")
    chooser.value.set_files(portrait_path("obama_2"))
    panel.locator(".image-container img").first.wait_for()
    go_to("input[type=range]")
    panel.get_by_text("At most 1 in 100 faces").wait_for()
    keys.press("ArrowLeft")
    panel.get_by_text("At most 1 in 180 faces").wait_for()
    go_to("button.primary")
    keys.press("Enter")
    visitor.sees("Match: Barack Obama")


def test_a_film_is_watched_and_comes_back_with_names(site, visit, clip):
    _, name = site.gallery(obama_1="Barack Obama")
    visitor = visit(site.key(name))
    panel = visitor.tab("Video")
    panel.locator("input[type=file]").first.set_input_files(clip)
    panel.get_by_text("clip.mp4").or_(panel.get_by_text("clip")).first.wait_for()
    visitor.press(panel, "Watch the film")
    visitor.sees("30 frames, 1 track, 1 of them named")
    assert "match: Barack Obama" in panel.locator("figure table").inner_text()
    panel.locator("video").wait_for()
    visitor.until("document.querySelector('video')?.readyState >= 1")
    visitor.shoot("video")


def test_a_film_is_cancelled_by_the_button(site, visit, clip, monkeypatch):
    _, name = site.gallery(obama_1="Barack Obama")
    visitor = visit(site.key(name))
    analyse = site.state.pipeline.detector.detect

    def slowly(images):
        time.sleep(0.3)
        return analyse(images)

    monkeypatch.setattr(site.state.pipeline.detector, "detect", slowly)
    panel = visitor.tab("Video")
    panel.locator("input[type=file]").first.set_input_files(clip)
    panel.get_by_text("clip").first.wait_for()
    visitor.press(panel, "Watch the film")
    panel.locator("progress").wait_for()
    visitor.press(panel, "Cancel")
    visitor.sees("Cancelled")
    assert not panel.locator("video").is_visible()


def test_settings_calibration_and_what_is_stored_tell_the_real_state(site, visit):
    gallery, name = site.gallery(obama_1="Barack Obama")
    visitor = visit(site.key(name))
    panel = visitor.tab("Settings")
    panel.locator("table").wait_for()
    assert site.state.collections.key.id in panel.inner_text()
    panel.get_by_label("Strict").check()
    visitor.sees("Strict: each new face needs")
    assert gallery.is_strict
    visitor.press(panel, "Delete what is due now")
    visitor.sees("Nothing was due")
    visitor.press(panel, "Verify the gallery")
    visitor.sees("The gallery is sound")
    visitor.shoot("settings")
    panel = visitor.tab("Calibration")
    panel.locator("svg text", has_text="FMR 1").first.wait_for()
    visitor.shoot("calibration")
    visitor.open(panel, "Use another table")
    upload = panel.locator("input[type=file]").first
    upload.set_input_files({"name": "t.json", "mimeType": "text/json", "buffer": b"{}"})
    panel.get_by_text("t.json").or_(panel.get_by_text("t", exact=True)).first.wait_for()
    visitor.press(panel, "Use this table in the gallery")
    visitor.sees("The file is not a calibration table")
    panel = visitor.tab("What is stored")
    panel.get_by_text("at most 30 days").wait_for()
    assert "Responsible use" in panel.inner_text()
    visitor.shoot("stored")


def test_a_gallery_that_is_strict_says_what_is_missing(site, visit):
    gallery, name = site.gallery()
    gallery.make_strict(strict=True)
    visitor = visit(site.key(name))
    panel = visitor.tab("Enrol")
    visitor.press(panel, "Enrol")
    visitor.sees("No picture was chosen")
    visitor.upload(panel, "obama_1")
    panel.locator("figure.picture img").wait_for()
    panel.get_by_label("Name").fill("Barack Obama")
    panel.get_by_label("Name").press("Enter")
    visitor.sees("Consent or day of deletion is missing")
    assert "--consent" not in panel.inner_text()


def test_a_file_that_is_no_picture_is_told_in_words(site, visit):
    _, name = site.gallery()
    visitor = visit(site.key(name))
    panel = visitor.tab("Identify")
    upload = panel.locator("input[type=file]").first
    upload.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    panel.locator(".image-container img").first.wait_for(state="attached")
    visitor.press(panel, "Identify")
    visitor.sees("The picture is plain text")


def test_an_address_in_place_of_a_picture_is_not_fetched(site, visit, monkeypatch):
    from gradio import processing_utils

    fetched = []

    async def fetch(url, cache_dir):
        fetched.append(url)
        raise AssertionError

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    _, name = site.gallery()
    visitor = visit(site.key(name))

    def forge(route):
        body = json.loads(route.request.post_data)
        body["data"] = [
            {**one, "path": "https://example.org/a.jpg"} if isinstance(one, dict) else one
            for one in body["data"]
        ]
        route.continue_(post_data=json.dumps(body))

    panel = visitor.tab("Identify")
    visitor.upload(panel, "obama_1")
    visitor.page.route("**/queue/join*", forge)
    with visitor.page.expect_response("**/queue/join*"):
        visitor.press(panel, "Identify")
    visitor.page.get_by_text("an address was sent in place of a file").first.wait_for()
    assert fetched == []


def test_a_session_that_ends_is_seen(site, visit):
    _, name = site.gallery()
    key = site.key(name)
    visitor = visit(key)
    panel = visitor.tab("Identify")
    panel.get_by_text("At most 1 in").wait_for()
    visitor.page.wait_for_timeout(500)  # until nothing is under way that the end would cut off
    site.state.keys.revoke(key.split("_")[1])
    visitor.press(panel, "Identify")
    visitor.page.get_by_text("load the page again and log in").first.wait_for()
