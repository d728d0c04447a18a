"""The login form: one field, no script, nothing from elsewhere."""

from typing import Final

from mien.core.errors import MienError
from mien.reports.html import Html, element, join, paragraph
from mien.web.look import COLOURS

_STYLE: Final = (
    COLOURS
    + """
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: center; justify-content: center;
  background: var(--wash); color: var(--ink); padding: 16px;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 420px; background: var(--paper); border: 1px solid var(--line);
  border-radius: 10px; padding: 32px; }
h1 { font-size: 1.5rem; margin: 0 0 4px; }
p { margin: 0 0 16px; color: var(--quiet); }
label { display: block; font-weight: 600; margin-bottom: 6px; }
input { width: 100%; font: inherit; padding: 10px 12px; border: 1px solid var(--edge);
  border-radius: 6px; background: var(--paper); color: var(--ink); }
button { margin-top: 16px; width: 100%; font: inherit; font-weight: 600; padding: 10px 12px;
  border: 0; border-radius: 6px; background: var(--accent); color: var(--on-accent); }
button:hover { filter: brightness(1.08); }
input:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.wrong { border-left: 4px solid var(--bad); background: var(--bad-wash); padding: 10px 14px;
  margin-bottom: 16px; border-radius: 3px; color: var(--ink); }
.small { font-size: 0.875rem; margin: 20px 0 0; }
code { font-size: 0.875em; overflow-wrap: anywhere; }
"""
)


def login_html(error: MienError | None = None) -> str:
    """The form as a whole page.

    Args:
        error: Why the last try failed.
    """
    head = join(
        (
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", "mien – log in"),
            Html('<link rel="icon" href="data:,">'),
            element("style", Html(_STYLE)),
        )
    )
    main = element(
        "main",
        element("h1", "mien"),
        paragraph("Log in with an API key of this service."),
        *([_wrong(error)] if error else []),
        _form(),
        element(
            "p",
            "No key? Whoever runs the service makes one with ",
            element("code", "mien keys create"),
            ".",
            class_="small",
        ),
    )
    document = element("html", element("head", head), element("body", main), lang="en-GB")
    return f"<!doctype html>\n{document.markup}\n"


def _form() -> Html:
    key = '<input id="key" name="key" type="password" autocomplete="current-password" required'
    return element(
        "form",
        element("label", "API key", for_="key"),
        Html(f'{key} autofocus spellcheck="false" maxlength="200">'),
        element("button", "Log in", type="submit"),
        method="post",
        action="login",
    )


def _wrong(error: MienError) -> Html:
    what = error.what[:1].upper() + error.what[1:]
    mend = (
        "Check that the whole key was copied, from mien_ to its end."
        if error.status == 401
        else error.mend[:1].upper() + error.mend[1:] + "."
    )
    return element("div", element("strong", f"{what}."), " ", mend, class_="wrong", role="alert")
