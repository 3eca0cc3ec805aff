"""Self-contained HTML pages: one file, no network, no scripts."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# No network and no scripts, whatever a page holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --text: #222; --ground: #fff; --soft: #555; --line: #ddd;
  --lead: #eef5fb; --code: #f6f6f6; --accent: #0072b2; --found: #a34700; --open: #8a6d00;
  --good: #007a5a; --grey: #666; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e4; --ground: #16191d; --soft: #a8adb3;
  --line: #3a3f45; --lead: #1d2a36; --code: #20242a; --accent: #56b4e9; } }
body { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; color: var(--text);
  background: var(--ground);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
p { margin: 0.5rem 0; overflow-wrap: anywhere; }
p.lead { font-size: 1.15rem; padding: 0.9rem 1.1rem; background: var(--lead);
  border-left: 4px solid var(--accent); }
p.note { color: var(--soft); font-size: 0.9rem; }
.wide { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { text-align: right; }
td.text { overflow-wrap: break-word; max-width: 32rem; }
td.text .small { max-width: 24rem; }
td.name { color: var(--soft); white-space: nowrap; }
tr.strong td { background: var(--lead); font-weight: 600; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0.5rem 0; flex: 1 1 20rem; max-width: 36rem; min-width: 0; }
figure img { width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { color: var(--soft); font-size: 0.9rem; overflow-wrap: anywhere; }
pre { background: var(--code); padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.85rem;
  line-height: 1.4; }
.badge { display: inline-block; padding: 0.1rem 0.6rem; border-radius: 1rem; font-size: 0.9rem;
  font-weight: 600; color: #fff; background: #0072b2; white-space: nowrap; }
.badge.data, .badge.found { background: var(--found); }
.badge.healthy { background: var(--good); }
.badge.unclear { background: var(--open); }
.badge.undetermined, .badge.absent, .badge.not_tested, .badge.described
  { background: var(--grey); }
.small { display: block; color: var(--soft); font-size: 0.85rem; font-weight: 400; }
.cards { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.card { flex: 1 1 26rem; min-width: 0; max-width: 100%; }
.card.wide { flex-basis: 100%; margin: 0; }
.card.wide figure { max-width: 54rem; }
.card h3, li h3 { font-size: 1rem; margin: 0.5rem 0 0; }
ul, ol { margin: 0.3rem 0; padding-left: 1.4rem; }
li { margin: 0.2rem 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); margin: 0.5rem 0; }
.row { border-bottom: 1px solid var(--line); }
.row > summary { display: flex; flex-wrap: wrap; gap: 0.2rem 0.8rem; align-items: baseline;
  color: var(--text); margin: 0; padding: 0.5rem 0; }
.row > summary .badge { min-width: 5rem; text-align: center; font-size: 0.8rem; }
.row > summary .what { flex: 1 1 16rem; font-weight: 600; }
.row > summary .size { color: var(--soft); font-variant-numeric: tabular-nums; }
.row > p, .row > .wide { margin-left: 0.5rem; }
@media (max-width: 40rem) { .card { flex-basis: 100%; } pre { white-space: pre-wrap; }
  th, td { padding: 0.25rem 0.4rem; } }
@media print { p.lead, tr.strong td, pre, .badge { print-color-adjust: exact; } }
"""


class Markup(str):
    """Text that is HTML already. All other text is escaped."""

    __slots__ = ()


def html(content: Any) -> Markup:
    """Returns content as HTML, escaped unless it is `Markup`."""
    return content if isinstance(content, Markup) else Markup(escape(str(content)))


def element(tag: str, content: Any = "", **attributes: str) -> Markup:
    """Returns an HTML element."""
    parts = content if isinstance(content, list | tuple) else [content]
    own = "".join(
        f' {name.rstrip("_")}="{escape(value)}"' for name, value in attributes.items() if value
    )
    return Markup(f"<{tag}{own}>{''.join(map(html, parts))}</{tag}>")


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], strong: Iterable[int] = ()
) -> Markup:
    """Returns a table; columns of numbers are aligned to the right."""
    rows, strong = list(rows), set(strong)
    numeric = [
        all(row[n] is None or _is_number(row[n]) for row in rows) for n in range(len(header))
    ]
    kinds = ["number" if one else "text" for one in numeric]
    head = [element("th", title, class_=kind) for title, kind in zip(header, kinds, strict=True)]
    body = [
        element(
            "tr",
            [element("td", _cell(v), class_=kind) for v, kind in zip(row, kinds, strict=True)],
            class_="strong" if number in strong else "",
        )
        for number, row in enumerate(rows)
    ]
    whole = element("table", [element("thead", element("tr", head)), element("tbody", body)])
    return element("div", whole, class_="wide")


def definitions(values: Mapping[str, Any]) -> Markup:
    """Returns names and values as a table without a header."""
    rows = [
        element("tr", [element("td", name, class_="name"), element("td", _cell(value))])
        for name, value in values.items()
    ]
    return element("div", element("table", rows), class_="wide")


def picture(ax: Axes, caption: str) -> Markup:
    """Returns the figure of a plot as part of the page."""
    import matplotlib

    buffer = io.BytesIO()
    # The same figure gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "mtlkit"}):
        ax.figure.canvas.figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    image = Markup(f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(caption)}">')
    return element("figure", [image, element("figcaption", caption)])


def bullets(items: Iterable[Any], tag: str = "ul") -> Markup:
    """Returns a list of items; numbered if the tag is `"ol"`."""
    return element(tag, [element("li", item) for item in items])


def folded(summary: Any, *parts: Markup, class_: str = "", opened: bool = False) -> Markup:
    """Returns parts that are shown on a click, or at once if they are `opened`."""
    attributes = {"class_": class_, "open": "open" if opened else ""}
    return element("details", [element("summary", summary), *parts], **attributes)


def save_page(path: str | os.PathLike[str], title: str, parts: Sequence[Markup]) -> None:
    """Writes a page."""
    body = "\n".join([element("h1", title), *parts])
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
    # Lone surrogates, which messages may have, are no valid text.
    Path(path).write_text(text, encoding="utf-8", errors="replace", newline="\n")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if _is_number(value) else value
