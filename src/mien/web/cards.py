"""Cards to choose from: buttons for one of several, boxes to tick for some of them.

They are plain HTML, so that keyboard and screen reader know them. What is chosen goes by the script
in `look` into a hidden field, which the tab watches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import gradio as gr

from mien.reports.html import Content, Html, element, join, paragraph
from mien.web.words import place_for_words


@dataclass(frozen=True, slots=True)
class Card:
    """One thing to choose.

    Attributes:
        card_id: What is handed over when it is chosen.
        picture: An image, or what stands for it.
        title: Its name.
        lines: Small print below.
        warnings: Small print that must not be overlooked.
    """

    card_id: str
    picture: Html
    title: str
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


class CardField:
    """A place for cards, and what was chosen of them.

    Attributes:
        place: Where the cards stand.
        picked: Hidden; the script writes into it. Ids of ticked cards are separated by spaces; the
            id of a card that was pressed is followed by a number, see `picked_id`.
        chosen: Id of the card that counts as chosen, kept by the service.
    """

    def __init__(self, name: str) -> None:
        """Place all here.

        Args:
            name: Unique on the page; the hidden field's id.
        """
        self.name = name
        self.place = place_for_words()
        self.picked = gr.Textbox(elem_id=name, elem_classes="unseen", label=name)
        self.chosen = gr.State("")


def picked_id(picked: str) -> str:
    """Id of the card that was pressed, without the number that tells one press from the next."""
    return picked.partition("#")[0]


def cards_to_choose(name: str, cards: Sequence[Card], *, chosen: str = "", empty: str) -> str:
    """Markup of cards of which one may be chosen.

    Args:
        name: That of the `CardField`.
        cards: In order.
        chosen: Id of the one that is chosen.
        empty: What to say if there are none.
    """
    buttons = [
        element(
            "button",
            *_inside(card),
            type="button",
            class_="card",
            data_target=name,
            data_pick=card.card_id,
            aria_pressed="true" if card.card_id == chosen else "false",
        )
        for card in cards
    ]
    return _listed(buttons, empty)


def cards_to_tick(name: str, cards: Sequence[Card], *, empty: str = "") -> str:
    """Markup of cards of which several may be ticked; as `cards_to_choose`."""
    labels = [
        element("label", _tick_box(name, card), *_inside(card), class_="card") for card in cards
    ]
    return _listed(labels, empty)


def _listed(items: Sequence[Html], empty: str) -> str:
    if not items:
        return paragraph(empty).markup
    return element("ul", *(element("li", item) for item in items), class_="cards").markup


def _tick_box(name: str, card: Card) -> Html:
    markup = element("input", type="checkbox", value=card.card_id, data_many=name).markup
    return Html(markup.removesuffix("</input>"))


def _inside(card: Card) -> tuple[Content, ...]:
    lines = [element("small", line) for line in card.lines]
    warnings = [element("small", line, class_="warn") for line in card.warnings]
    return card.picture, element("b", card.title), join(lines), join(warnings)
