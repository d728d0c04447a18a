"""How the page looks: one set of colours for light and dark, fonts of the reader's own system."""

import inspect
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import gradio as gr

_FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")

_LIGHT: Final = """
  --paper: #ffffff; --wash: #f5f6f8; --ink: #1b1f24; --quiet: #57616c; --line: #dce1e6;
  --edge: #8a949e; --accent: #0a5ea8; --on-accent: #ffffff; --accent-wash: #e8f1fa;
  --good: #00694f; --good-wash: #e6f4f0; --bad: #b3261e; --bad-wash: #fdf0ef;
  --warn: #8a5a00; --warn-wash: #fdf6e3;
  --blue: #0a5ea8; --orange: #b04e05; --shade: #1b1f2433;"""
_DARK: Final = """
  --paper: #14171a; --wash: #0d0f11; --ink: #e7eaed; --quiet: #a4aeb8; --line: #353c43;
  --edge: #707a84; --accent: #6db5f5; --on-accent: #0d0f11; --accent-wash: #172a3c;
  --good: #58c7a6; --good-wash: #12281f; --bad: #f2938c; --bad-wash: #2d1c1b;
  --warn: #e9bd5b; --warn-wash: #2a2415;
  --blue: #6db5f5; --orange: #f5a25d; --shade: #000000b0;"""

COLOURS: Final = f"""
:root {{ color-scheme: light dark;{_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{{_DARK} }} }}
.dark {{{_DARK} }}
"""
"""Names of colours; every pair that is used for text has a contrast of 4.5 or more."""

STYLE: Final = (
    COLOURS
    + """
.gradio-container { width: 100%; max-width: 1220px !important; margin: 0 auto !important; }
.pair { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 12px; }
.pair figure { width: 120px; margin: 0; }
footer { display: none !important; }
.top { display: flex; flex-wrap: wrap; gap: 8px 20px; align-items: baseline; }
.top h1 { font-size: 1.35rem; font-weight: 650; margin: 0; }
.top p { margin: 0; color: var(--quiet); flex: 1 1 240px; font-size: 0.9375rem; }
.top form { margin: 0 0 0 auto; }
.top button { font: inherit; color: var(--accent); background: none; border: 0; padding: 0;
  text-decoration: underline; text-underline-offset: 2px; cursor: pointer; }
.words p, .words li { max-width: 70ch; }
.words p { margin: 0 0 10px; line-height: 1.55; }
.words h2 { font-size: 1.05rem; font-weight: 650; margin: 18px 0 6px; }
.words h2:first-child { margin-top: 0; }
.quiet { color: var(--quiet); }
.words code { overflow-wrap: anywhere; background: none; padding: 0; }
.message { border-left: 4px solid; border-radius: 3px; padding: 10px 14px; line-height: 1.5;
  overflow-wrap: anywhere; }
.message strong { display: block; }
.message.good { border-color: var(--good); background: var(--good-wash); }
.message.bad { border-color: var(--bad); background: var(--bad-wash); }
.message.warn { border-color: var(--warn); background: var(--warn-wash); }
.words code { border: 0; color: var(--quiet); font-size: 0.8125em; white-space: normal; }
.message ul { margin: 4px 0 0; padding-left: 18px; list-style: disc; }
.message p { margin: 2px 0 0; }
.picture { margin: 0; }
.picture img { display: block; width: auto; height: auto; max-width: 100%; max-height: 560px;
  margin: 0; border-radius: 6px; }
.picture figcaption { color: var(--quiet); font-size: 0.875rem; margin-top: 4px; }
.words a { color: var(--accent); }
.no-number input[type="range"]::-webkit-slider-thumb { background: var(--paper) !important;
  border: 2px solid var(--accent); box-shadow: none; }
.no-number input[type="range"]::-moz-range-thumb { background: var(--paper);
  border: 2px solid var(--accent); box-shadow: none; }
.block.words:has(.md:empty) { display: none; }
.unseen, .form:has(> .unseen:only-child) { display: none !important; }
.gradio-container { --behind: var(--wash); }
.block:has(> .label-wrap) { --behind: var(--paper); }
.scroll { overflow-x: auto; background:  /* the shadows say that there is more to the side */
  linear-gradient(to right, var(--behind) 40%, transparent) left / 36px 100% no-repeat local,
  linear-gradient(to left, var(--behind) 40%, transparent) right / 36px 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / 12px 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / 12px 100% no-repeat scroll; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.words figure { margin: 0 0 14px; }
.words figcaption { color: var(--quiet); font-size: 0.875rem; margin-top: 6px; max-width: 76ch; }
.words table { border-collapse: collapse; width: 100%; margin: 0; font-size: 0.9375rem;
  border: 0 !important; }
.words th, .words td { padding: 7px 18px 7px 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; font-weight: 400; }
.words thead th { font-weight: 600; color: var(--quiet); font-size: 0.8125rem;
  vertical-align: bottom; border-bottom-color: var(--edge); overflow-wrap: normal; }
.words thead, .words tbody, .words tr { border: 0 !important; background: none !important; }
.words th:last-child, .words td:last-child { padding-right: 0; }
.words .number { text-align: right; white-space: nowrap; }
.words .refused { color: var(--bad); }
.words svg { display: block; width: 100%; height: auto; max-width: 860px; }
.words .small { display: block; color: var(--quiet); font-size: 0.8125rem; }
.words .keep { white-space: nowrap; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr));
  gap: 12px 24px; margin: 0 0 16px; }
.facts dt { color: var(--quiet); font-size: 0.8125rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px;
  list-style: none; margin: 0; padding: 0; }
.cards li { margin: 0; }
.card { display: block; width: 100%; height: 100%; text-align: left; text-decoration: none;
  color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 8px;
  padding: 8px; cursor: pointer; position: relative; }
.card:hover { border-color: var(--accent); }
.card:focus-visible, .card:has(input:focus-visible), .top button:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; }
.card[aria-pressed="true"], .card:has(input:checked) { border-color: var(--accent);
  background: var(--accent-wash); box-shadow: inset 0 0 0 1px var(--accent); }
.card img, .card .initials { display: flex; width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 5px; background: var(--wash); }
.card .initials { align-items: center; justify-content: center; font-size: 2rem; font-weight: 600;
  color: var(--quiet); }
.card b { display: block; font-weight: 600; margin-top: 6px; overflow-wrap: anywhere;
  line-height: 1.3; color: var(--ink); }
.card small { display: block; font-size: 0.8125rem; line-height: 1.4; color: var(--quiet); }
.card small.warn { color: var(--warn); }
.card input { position: absolute; top: 14px; left: 14px; width: 22px; height: 22px; margin: 0;
  accent-color: var(--accent); appearance: auto; -webkit-appearance: auto; }
.progress progress { width: 100%; height: 12px; accent-color: var(--accent); }
.no-number input[type="number"], .no-number .tab-like-container, .no-number .min_value,
.no-number .max_value { display: none; }
button:focus-visible, input:focus-visible, textarea:focus-visible, [role="tab"]:focus-visible {
  outline: 3px solid var(--accent) !important; outline-offset: 2px; }
.words th, .words td { word-break: normal; overflow-wrap: normal; }
@media (max-width: 640px) {
  .words .scroll > table { min-width: 520px; }
  .words .scroll > svg { min-width: 470px; }
  .facts { grid-template-columns: 1fr 1fr; }
  .cards { grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); }
}
"""
)

SCRIPT: Final = """
<link rel="icon" href="data:,">
<script>
(() => {
  let presses = 0;
  const send = (target, value) => {
    const field = document.querySelector(`#${target} textarea, #${target} input`);
    if (!field) return;
    const kind = field.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, value);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  document.addEventListener("click", (event) => {
    const card = event.target.closest?.("button[data-pick]");
    if (!card) return;
    for (const one of document.querySelectorAll(`[data-target="${card.dataset.target}"]`))
      one.setAttribute("aria-pressed", one === card);
    presses += 1;
    send(card.dataset.target, `${card.dataset.pick}#${presses}`);
  });
  document.addEventListener("change", (event) => {
    const target = event.target.dataset?.many;
    if (!target) return;
    const chosen = document.querySelectorAll(`input[data-many="${target}"]:checked`);
    send(target, [...chosen].map((one) => one.value).join(" "));
  });
})();
</script>
"""
"""Carries a choice among cards into the hidden field of the same name; Gradio watches the field."""


def page_theme() -> "gr.themes.Base":
    """Gradio's plain theme in these colours, with no font to fetch."""
    import gradio as gr

    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="sm",
        font=_FONTS,
        font_mono=("ui-monospace", "Consolas", "monospace"),
    )
    colours = {
        "body_background_fill": "var(--wash)",
        "body_text_color": "var(--ink)",
        "body_text_color_subdued": "var(--quiet)",
        "background_fill_primary": "var(--paper)",
        "background_fill_secondary": "var(--wash)",
        "block_background_fill": "var(--paper)",
        "block_border_color": "var(--line)",
        "block_label_text_color": "var(--ink)",
        "block_title_text_color": "var(--ink)",
        "block_info_text_color": "var(--quiet)",
        "border_color_primary": "var(--line)",
        "input_background_fill": "var(--paper)",
        "input_border_color": "var(--edge)",
        "button_primary_background_fill": "var(--accent)",
        "button_primary_background_fill_hover": "var(--accent)",
        "button_primary_text_color": "var(--on-accent)",
        "button_secondary_background_fill": "var(--paper)",
        "button_secondary_background_fill_hover": "var(--accent-wash)",
        "button_secondary_text_color": "var(--accent)",
        "button_secondary_border_color": "var(--edge)",
        "button_cancel_background_fill": "var(--paper)",
        "button_cancel_text_color": "var(--bad)",
        "button_cancel_border_color": "var(--bad)",
        "color_accent": "var(--accent)",
        "color_accent_soft": "var(--accent-wash)",
        "slider_color": "var(--accent)",
        "input_placeholder_color": "var(--edge)",
        "checkbox_border_color": "var(--edge)",
        "checkbox_background_color_selected": "var(--accent)",
        "checkbox_border_color_selected": "var(--accent)",
    }
    known = inspect.signature(theme.set).parameters
    dark = {f"{name}_dark": value for name, value in colours.items()}
    both = colours | {name: value for name, value in dark.items() if name in known}
    return theme.set(**both, button_border_width="1px", input_border_width="1px")
