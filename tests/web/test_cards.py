"""Cards are plain controls of HTML."""

from mien.web.cards import Card, CardField, cards_to_choose, cards_to_tick, picked_id
from mien.web.pictures import initials

CARDS = [
    Card("1", initials("A B"), "<A>", ("two faces",)),
    Card("2", initials("C"), "C", (), ("!",)),
]


def test_cards_to_choose_are_buttons_of_which_one_is_pressed():
    markup = cards_to_choose("person", CARDS, chosen="2", empty="none")
    assert markup.count("<button") == 2
    assert 'data-target="person" data-pick="1" aria-pressed="false"' in markup
    assert 'data-pick="2" aria-pressed="true"' in markup
    assert "&lt;A&gt;" in markup


def test_cards_to_tick_are_labels_with_boxes():
    markup = cards_to_tick("faces", CARDS)
    assert markup.count('<input type="checkbox"') == 2
    assert "</input>" not in markup
    assert '<small class="warn">!</small>' in markup


def test_no_cards_are_said_in_words():
    assert cards_to_choose("person", [], empty="Nobody yet.") == "<p>Nobody yet.</p>"


def test_a_press_is_told_from_the_next_by_a_number():
    assert picked_id("abc#12") == "abc"
    assert picked_id("") == ""


def test_the_hidden_field_bears_the_name_of_the_cards():
    assert CardField("person").picked.elem_id == "person"
