"""The style sheet of every report: system fonts, light and dark, and a plain form for paper."""

from typing import Final

_LIGHT: Final = """
  --paper: #ffffff; --wash: #f6f7f9; --ink: #1b1f24; --quiet: #57616c; --line: #dce1e6;
  --blue: #0a5ea8; --orange: #b04e05; --shade: #1b1f2433;
  --warning: #8a5a00; --warning-wash: #fdf6e3;
  --refusal: #b3261e; --refusal-wash: #fdf0ef;"""

_DARK: Final = """
  --paper: #14171a; --wash: #1c2024; --ink: #e7eaed; --quiet: #a4aeb8; --line: #353c43;
  --blue: #6db5f5; --orange: #f5a25d; --shade: #000000b0;
  --warning: #e9bd5b; --warning-wash: #2a2415;
  --refusal: #f2938c; --refusal-wash: #2d1c1b;"""

STYLE: Final = f"""
:root {{ color-scheme: light dark;{_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{{_DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }}
body {{
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}}
main, footer {{ max-width: 960px; margin: 0 auto; padding: 0 24px; overflow-wrap: break-word; }}
main {{ padding-top: 56px; }}
h1 {{ font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; margin: 0; }}
h2 {{ font-size: 1.3rem; line-height: 1.3; font-weight: 650; margin: 0 0 12px; }}
h3 {{ font-size: 1rem; font-weight: 650; margin: 24px 0 4px; }}
p {{ max-width: 68ch; margin: 0 0 14px; }}
a {{ color: var(--blue); text-underline-offset: 2px; }}
a:focus-visible, .scroll:focus-visible {{ outline: 2px solid var(--blue); outline-offset: 3px; }}
header p {{ color: var(--quiet); font-size: 1.1rem; margin: 10px 0 0; }}
section {{ margin-top: 56px; }}
footer {{
  margin-top: 72px; padding-top: 18px; padding-bottom: 48px;
  color: var(--quiet); font-size: 0.875rem;
}}
footer::before {{
  content: ""; display: block; border-top: 1px solid var(--line); margin-bottom: 18px;
}}

.facts {{
  display: grid; grid-template-columns: repeat(4, 1fr); gap: 20px 28px; margin: 22px 0 26px;
}}
.facts dt {{ color: var(--quiet); font-size: 0.875rem; }}
.facts dd {{ margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }}
.facts.large dd {{ font-size: 1.45rem; line-height: 1.3; font-weight: 600; }}

.scroll {{ /* the shadows at the edges say that there is more to the side */
  overflow-x: auto; overflow-y: hidden;
  background:
    linear-gradient(to right, var(--paper) 40%, transparent) left / 36px 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 36px 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 12px 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 12px 100% no-repeat scroll;
}}
table {{ border-collapse: collapse; width: 100%; font-size: 0.9375rem; }}
th, td {{
  padding: 9px 20px 9px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums;
}}
th:last-child, td:last-child {{ padding-right: 0; }}
th {{ font-weight: 400; }}
thead th {{
  font-weight: 600;  color: var(--quiet); font-size: 0.8125rem; vertical-align: bottom;
  border-bottom: 1px solid var(--quiet);
}}
.number {{ text-align: right; white-space: nowrap; }}
.path {{ overflow-wrap: anywhere; }}
.small {{ color: var(--quiet); font-size: 0.8125rem; }}
.keep {{ white-space: nowrap; }}
.refused {{ color: var(--refusal); }}
th > .small, td > .small {{ display: block; line-height: 1.4; }}

figure {{ margin: 22px 0 0; }}
.faces {{ display: flex; flex-wrap: wrap; gap: 12px; }}
.faces figure {{ margin: 0; width: 112px; }}
.faces img {{ width: 112px; height: 112px; object-fit: cover; border-radius: 6px; }}
.faces figcaption {{ font-size: 0.75rem; margin-top: 2px; overflow-wrap: anywhere; }}
.strip figcaption {{ color: var(--ink); font-weight: 600; }}
figure svg {{ display: block; width: 100%; height: auto; }}
.beside svg {{ max-width: 540px; }}
figcaption {{ color: var(--quiet); font-size: 0.875rem; max-width: 76ch; margin-top: 8px; }}
@media screen and (min-width: 800px) {{
  .beside {{ display: grid; grid-template-columns: 540px 1fr; gap: 36px; align-items: center; }}
}}
@media screen and (max-width: 760px) {{
  .facts {{ grid-template-columns: 1fr 1fr; gap: 14px 18px; }}
}}
@media screen and (max-width: 620px) {{
  main {{ padding-top: 32px; }}
  main, footer {{ padding-left: 16px; padding-right: 16px; }}
  h1 {{ font-size: 1.6rem; }}
  section {{ margin-top: 44px; }}
  figure svg {{ font-size: 15px; }}
  figure:not(.beside) .scroll > svg {{ min-width: 470px; }}
  .photos img, .photos .blank {{ width: 68px; height: 68px; }}
  th, td {{ padding-right: 14px; }}
}}

.notice {{
  margin: 22px 0; padding: 14px 18px; border-left: 4px solid; border-radius: 3px;
}}
.notice p:last-child {{ margin-bottom: 0; }}
.notice strong {{ display: block; }}
.warning {{ border-color: var(--warning); background: var(--warning-wash); }}
.warning strong {{ color: var(--warning); }}
.refusal {{ border-color: var(--refusal); background: var(--refusal-wash); }}
.refusal strong {{ color: var(--refusal); }}

.pairs {{
  list-style: none; margin: 18px 0 0; padding: 0;
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 14px;
}}
.pairs li {{
  display: flex; gap: 16px; align-items: center; padding: 12px;
  background: var(--wash); border-radius: 6px; break-inside: avoid;
}}
.photos {{ display: flex; gap: 6px; flex: none; }}
.photos img, .photos .blank {{
  width: 84px; height: 84px; object-fit: cover; border-radius: 4px; background: var(--line);
}}
.photos .blank {{
  display: flex; align-items: center; justify-content: center; text-align: center;
  color: var(--quiet); font-size: 0.75rem; line-height: 1.2; padding: 6px;
}}
.pair {{ min-width: 0; font-size: 0.8125rem; line-height: 1.4; overflow-wrap: anywhere; }}
.pair b {{
  display: block; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums;
}}
.pair span {{ display: block; color: var(--quiet); }}

.strip {{
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 240px), 1fr)); gap: 20px;
}}
.strip figure {{ margin: 0; }}
.strip img {{ display: block; width: 100%; height: auto; border-radius: 4px; }}

@media print {{
  :root {{ color-scheme: light; }}
  @page {{ margin: 16mm 14mm; }}
  body {{ font-size: 10.5pt; }}
  main, footer {{ max-width: none; padding: 0; }}
  section {{ margin-top: 28px; }}
  h2, h3, thead {{ break-after: avoid; }}
  figure, tr, .notice, .facts > div {{ break-inside: avoid; }}
  .scroll {{ overflow: visible; background: none; }}
  .beside {{ display: grid; grid-template-columns: 3fr 2fr; gap: 20px; align-items: center; }}
  .pairs {{ grid-template-columns: 1fr 1fr; }}
  .pairs li {{ border: 1px solid var(--line); }}
  .photos img, .photos .blank {{ width: 64px; height: 64px; }}
  img, svg {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""
