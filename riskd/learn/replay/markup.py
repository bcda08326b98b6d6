"""The few pieces of HTML that the report's page is made of."""

from collections.abc import Iterable, Sequence
from html import escape

KEY = '<span class="legend"><span class="key then"></span>recorded<span class="key now"></span>now</span>'
"""Legend of every chart."""


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
