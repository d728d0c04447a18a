"""How the page's controls are tied to actions: with a key's leave, and errors shown in words.

An action gets a `Visit` and the values of its inputs, and returns the message to show and a value
for each output. What it raises becomes the message; nothing of it is lost or shown as a trace.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gradio as gr

from mien.core.errors import MienError
from mien.server.bugs import as_internal
from mien.server.principal import Principal
from mien.server.state import ServiceState
from mien.web.films import Films
from mien.web.sessions import Sessions
from mien.web.visit import Visit, visiting
from mien.web.words import message, place_for_words, told

Action = Callable[..., Any]
"""``(visit, *values)`` to ``[message, *outputs]``; may be a coroutine, or yield several times."""

AT_ONCE: Final = 8
"""Actions of one kind that run at the same time."""


@dataclass(slots=True)
class Guard:
    """A control that some keys may not use.

    Attributes:
        control: The button or field.
        scope: What it needs.
        purpose: What it does, such as ``"delete people"``.
        reason: The tab's place for reasons.
    """

    control: gr.components.Component
    scope: str
    purpose: str
    reason: gr.Markdown


@dataclass(slots=True)
class Wiring:
    """What the tabs share while the page is built.

    Attributes:
        state: The service.
        sessions: Who is logged in.
        collection: The choice of the gallery.
        films: Films being watched.
        folder: Where uploads and films stand for a while.
        guards: Controls that some keys may not use.
    """

    state: ServiceState
    sessions: Sessions
    collection: gr.Dropdown
    films: Films
    folder: Path
    guards: list[Guard] = field(default_factory=list)

    def message(self) -> gr.Markdown:
        """A place for messages."""
        return place_for_words()

    def guard(
        self, control: gr.components.Component, scope: str, purpose: str, reason: gr.Markdown
    ) -> None:
        """Switch a control off for keys without a scope, and say so."""
        self.guards.append(Guard(control, scope, purpose, reason))

    def tie(
        self,
        triggers: Callable[..., Any] | Sequence[Callable[..., Any]],
        action: Action,
        *,
        needs: str,
        message: gr.Markdown,
        inputs: Sequence[gr.components.Component] = (),
        outputs: Sequence[Any] = (),
        progress: str = "hidden",
    ) -> None:
        """Run an action when something happens.

        Args:
            triggers: Such as ``button.click``; one or several.
            action: What to do.
            needs: The scope.
            message: Where its message or error goes.
            inputs: Controls whose values the action gets.
            outputs: Controls that it changes.
            progress: How Gradio shows that it runs.
        """
        texts = [isinstance(control, gr.Textbox) for control in inputs]
        run = self._admitted(action, needs, texts, len(outputs))
        every = [triggers] if callable(triggers) else triggers
        for trigger in every:
            trigger(
                run,
                inputs=[self.collection, *inputs],
                outputs=[message, *outputs],
                show_progress=progress,
                api_visibility="private",
                concurrency_limit=AT_ONCE,
            )

    def show(
        self,
        tab: gr.Tab,
        action: Action,
        *,
        needs: str,
        message: gr.Markdown,
        inputs: Sequence[gr.components.Component] = (),
        outputs: Sequence[Any] = (),
    ) -> None:
        """Run an action whenever a tab comes into view, or another gallery is chosen."""
        self.tie(
            [tab.select, self.collection.change],
            action,
            needs=needs,
            message=message,
            inputs=inputs,
            outputs=outputs,
        )

    def _admitted(self, action: Action, needs: str, texts: Sequence[bool], count: int) -> Action:
        def given(values: Sequence[Any]) -> list[Any]:
            # A field of text that nobody touched holds None.
            return ["" if t and v is None else v for t, v in zip(texts, values, strict=True)]

        def shown(values: Sequence[Any]) -> Any:
            return list(values) if count else values[0]  # one output is not given as a list

        def failed(err: Exception) -> Any:
            error = err if isinstance(err, MienError) else as_internal(err)
            return shown([told(error), *[gr.skip()] * count])

        async def run(request: gr.Request, collection: str, *values: Any) -> Any:
            try:
                async with self._visiting(request, collection, needs) as visit:
                    if inspect.iscoroutinefunction(action):
                        return shown(await action(visit, *given(values)))
                    return shown(await self.state.call(action, visit, *given(values)))
            except Exception as err:  # noqa: BLE001 - a bug is told on the page, not swallowed
                return failed(err)

        async def run_steps(
            request: gr.Request, collection: str, *values: Any
        ) -> AsyncIterator[Any]:
            try:
                async with self._visiting(request, collection, needs) as visit:
                    async for step in action(visit, *given(values)):
                        yield shown(step)
            except Exception as err:  # noqa: BLE001 - a bug is told on the page, not swallowed
                yield failed(err)

        return run_steps if inspect.isasyncgenfunction(action) else run

    def _visiting(
        self, request: gr.Request, collection: str, needs: str
    ) -> AbstractAsyncContextManager[Visit]:
        key_id = getattr(request, "username", None)
        return visiting(self.state, self.sessions, key_id, collection, needs)

    def guard_updates(self, principal: Principal | None, collection: str) -> list[Any]:
        """For each guarded control whether it may be used, then for each tab why not."""
        place = collection or None
        may = [bool(principal and principal.may(g.scope, place)) for g in self.guards]
        updates: list[Any] = [gr.update(interactive=yes) for yes in may]
        for reason in self.reasons:
            wanting: dict[str, list[str]] = {}
            for guard, yes in zip(self.guards, may, strict=True):
                if guard.reason is reason and not yes:
                    wanting.setdefault(guard.scope, []).append(guard.purpose)
            updates.append("".join(_wanting(scope, what) for scope, what in wanting.items()))
        return updates

    @property
    def reasons(self) -> list[gr.Markdown]:
        """The tabs' places for reasons, each once."""
        return list({id(guard.reason): guard.reason for guard in self.guards}.values())


def _wanting(scope: str, purposes: Sequence[str]) -> str:
    listed = ", ".join(dict.fromkeys(purposes))
    return message(
        "warn",
        f"Your key may not {listed} here",
        f"That needs a key with the scope “{scope}”. Whoever runs the service can make one.",
    )
