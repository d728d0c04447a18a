"""Actions run with leave, and what they raise becomes a message."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from mien.core.errors import InputError
from mien.server.principal import Principal
from mien.web import wiring as module
from mien.web.wiring import Wiring
from mien.web.words import place_for_words


@pytest.fixture
def wiring(monkeypatch):
    """Wiring whose visits are simple."""

    @asynccontextmanager
    async def visiting(state, sessions, key_id, collection, scope):
        yield SimpleNamespace(key_id=key_id, collection=collection, scope=scope)

    async def call(work, *args):
        return work(*args)

    monkeypatch.setattr(module, "visiting", visiting)
    return Wiring(SimpleNamespace(call=call), None, gr.Dropdown([]), None, Path())


def tied(wiring, action, inputs=(), outputs=()):
    """What Gradio would call."""
    caught = {}

    def trigger(run, **more):
        caught["run"] = run

    wiring.tie(trigger, action, needs="search", message=place_for_words(), inputs=inputs,
               outputs=outputs)  # fmt: skip
    return caught["run"]


REQUEST = SimpleNamespace(username="12345678")


def test_an_action_gets_its_visit_and_values(wiring):
    run = tied(
        wiring,
        lambda visit, name: ["said", f"{visit.collection} {visit.scope} {name}"],
        inputs=[gr.Textbox()],
        outputs=[gr.Textbox()],
    )
    assert asyncio.run(run(REQUEST, "ours", "Ada")) == ["said", "ours search Ada"]
    assert asyncio.run(run(REQUEST, "ours", None)) == ["said", "ours search "]


def test_a_coroutine_may_act_too_and_one_output_is_no_list(wiring):
    async def act(visit):
        return ["said"]

    assert asyncio.run(tied(wiring, act)(REQUEST, "ours")) == "said"


def test_an_error_becomes_a_message_and_changes_nothing_else(wiring):
    def act(visit):
        raise InputError(what="no name", why="it is needed", mend="fill it in")

    said, other = asyncio.run(tied(wiring, act, outputs=[gr.Textbox()])(REQUEST, "ours"))
    assert "No name" in said
    assert other == gr.skip()


def test_a_bug_is_told_without_its_words(wiring, caplog):
    def act(visit):
        raise ZeroDivisionError("Ada Lovelace")

    said = asyncio.run(tied(wiring, act)(REQUEST, "ours"))
    assert "The service could not do it (internal)" in said
    assert "Ada" not in said + caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_action_in_steps_shows_each_and_tells_its_error(wiring):
    async def act(visit):
        yield ["one"]
        raise InputError(what="broken", why="y", mend="m")

    async def collect():
        return [step async for step in tied(wiring, act)(REQUEST, "ours")]

    one, said = asyncio.run(collect())
    assert one == "one"
    assert "Broken" in said


def test_controls_without_the_scope_are_off_with_the_reason(wiring):
    place = place_for_words()
    one, other, third = gr.Button(), gr.Button(), gr.Button()
    wiring.guard(one, "search", "look", place)
    wiring.guard(other, "delete", "delete people", place)
    wiring.guard(third, "delete", "delete faces", place)
    principal = Principal("12345678", frozenset({"search"}), frozenset({"ours"}))
    *controls, reason = wiring.guard_updates(principal, "ours")
    assert [update["interactive"] for update in controls] == [True, False, False]
    assert "Your key may not delete people, delete faces here" in reason
    assert "“delete”" in reason
    assert [u["interactive"] for u in wiring.guard_updates(None, "ours")[:3]] == [False] * 3
