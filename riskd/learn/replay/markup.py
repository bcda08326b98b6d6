"""The few pieces of HTML that reports are made of: no script, no network; readable in light, dark and print."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

KEY = '<span class="legend"><span class="key then"></span>recorded<span class="key now"></span>now</span>'
"""Legend of every chart."""


def document(title: str, sections: Iterable[str], style: str = "") -> str:
    """Return a whole page; `style` is CSS beside that of all reports."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8") + style
    title = escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head><body><main>"
        f"<h1>{title}</h1>{''.join(sections)}</main></body></html>\n"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return what a report is about: names, and values that are HTML already."""
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)}</dl>'


def tiles(found: Iterable[tuple[str, str]]) -> str:
    """Return the few numbers that matter most, each with what it counts."""
    shown = (f'<div class="tile"><b>{escape(count)}</b><span>{escape(what)}</span></div>' for count, what in found)
    return f'<div class="tiles">{"".join(shown)}</div>'


def bear_in_mind(notes: Iterable[str]) -> str:
    """Return the section of what limits a report; nothing when nothing does."""
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return section("To bear in mind", "", f'<ul class="notes">{told}</ul>') if told else ""


def section(title: str, said: str, *parts: str) -> str:
    """Return a section with its heading, what it says in a sentence, and its content."""
    lead = f'<p class="soft">{said}</p>' if said else ""
    return f"<h2>{escape(title)}</h2>{lead}{''.join(parts)}"


def table(head: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """Return a table; a heading that begins with `#` stands over numbers. Rows are made by `row`."""
    cells = "".join(f'<th class="n">{name[1:]}</th>' if name[:1] == "#" else f"<th>{name}</th>" for name in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{kind}">{top}<tbody>{"".join(rows)}</tbody></table></div>'


def row(*cells: str) -> str:
    """Return a row of cells, each made by `cell`, `number` or by hand."""
    return f"<tr>{''.join(cells)}</tr>"


def cell(content: str) -> str:
    """Return a cell with content that is HTML already."""
    return f"<td>{content}</td>"


def number(content: str, kind: str = "") -> str:
    """Return a cell that holds a number."""
    return f'<td class="n {kind}">{content}</td>'


def figure(caption: str, picture: str) -> str:
    """Return a chart or table with its caption."""
    return f"<figure><figcaption>{caption}</figcaption>{picture}</figure>"


def pair(*figures: str) -> str:
    """Return figures side by side, where the page is wide enough."""
    return f'<div class="pair">{"".join(figures)}</div>'
