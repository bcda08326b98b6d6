"""Charts of the tuning report as inline SVG; colours come from the page's style. In force: hollow; chosen: solid."""

from collections.abc import Callable, Sequence
from html import escape
from math import log10

from riskd.learn.tune.curve import Steps
from riskd.learn.tune.predict import Prediction
from riskd.learn.tune.tune import Tuned

WIDTH, HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 40
_LEAST, _MOST = 0.0005, 0.6
"""Shares of honest decisions at the ends of the logarithmic scale."""
_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

Scale = Callable[[float], float]


def friction_catch(tuned: Tuned) -> str:
    """Draw the catch over the share of honest decisions stepped up; without labelled attacks, the shares alone."""
    parts = _axes("honest decisions stepped up or denied", "attacks caught")
    points = [(point.troubled, point.caught) for point in tuned.points]
    line = " ".join(f"{_x(troubled.share):.1f},{_y(caught.share):.1f}" for troubled, caught in points)
    if tuned.attacks:
        parts.append(f'<polyline class="line now" points="{line}"/>')
    chosen = tuned.chosen
    for kind, (troubled, caught), size in (
        *(("line", point, 2.2) for point in points),
        ("then", (chosen.now.troubled, chosen.now.caught), 5.5),
        ("now", (chosen.then.troubled, chosen.then.caught), 5.5),
    ):
        parts.append(_mark(kind, troubled, caught, size))
    return _svg(HEIGHT, "catch of labelled attacks over friction", parts)


def by_threshold(steps: Steps, height: int = 190) -> str:
    """Draw the share of honest decisions stepped up or denied at each step_up threshold, on a logarithmic scale."""
    high = height - _TOP - _BOTTOM

    def y(share: float) -> float:
        return _TOP + high * (1 - _place(share))

    def x(threshold: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * threshold / 100

    choice, parts = steps.choice, []
    for tick in _TICKS[::3]:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{100 * tick:g} %</text>')
    parts += [f'<text x="{x(t):.1f}" y="{height - 22}" text-anchor="middle">{t}</text>' for t in range(0, 101, 10)]
    floored = sum(floored.share for floored in choice.floors)
    if floored > _LEAST:
        parts.append(
            f'<rect class="band" x="{_LEFT}" y="{y(floored):.1f}" width="{WIDTH - _LEFT - _RIGHT}" '
            f'height="{y(0) - y(floored):.1f}"><title>floors alone: {100 * floored:.2f} %</title></rect>'
        )
    line = " ".join(f"{x(t):.1f},{y(share):.1f}" for t, share in enumerate(steps.shares))
    parts.append(f'<polyline class="line now" points="{line}"/>')
    for kind, threshold, found in (
        ("then", choice.place.step_up, choice.now.troubled),
        ("now", choice.step_up, choice.then.troubled),
    ):
        at, middle = x(threshold), y(found.share)
        parts.append(f"<g><title>{threshold:g}: {found}</title>")
        parts.append(_whisker(kind, (at, y(found.low)), (at, y(found.high))))
        parts.append(f'<circle class="dot {kind}" cx="{at:.1f}" cy="{middle:.1f}" r="4.5"/></g>')
    return _svg(height, f"share stepped up by threshold: {choice.place.name}", parts)


def _axes(across: str, up: str) -> list[str]:
    parts = []
    for tick in _TICKS:
        parts.append(
            f'<line class="grid" x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
        )
        parts.append(f'<text x="{_x(tick):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{100 * tick:g} %</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{_y(share):.1f}" y2="{_y(share):.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 7}" y="{_y(share) + 4:.1f}" text-anchor="end">{100 * share:g} %</text>')
    parts.append(f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 7}" text-anchor="end">{across}</text>')
    parts.append(f'<text x="{_LEFT + 6}" y="{_TOP + 12}">{up}</text>')
    return parts


def _mark(kind: str, troubled: Prediction, caught: Prediction, size: float) -> str:
    x, y = _x(troubled.share), _y(caught.share if caught.total else 0.0)
    said = f"stepped up {troubled}, caught {caught}"
    parts = [f"<g><title>{escape(said)}</title>"]
    if kind != "line":
        parts.append(_whisker(kind, (_x(troubled.low), y), (_x(troubled.high), y)))
        if caught.total:
            parts.append(_whisker(kind, (x, _y(caught.low)), (x, _y(caught.high))))
    shown = "now" if kind == "line" else kind
    parts.append(f'<circle class="dot {shown}" cx="{x:.1f}" cy="{y:.1f}" r="{size}"/></g>')
    return "".join(parts)


def _whisker(kind: str, begin: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = begin, end
    return f'<line class="whisker {kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _place(share: float) -> float:
    """Return where a share lies on the logarithmic scale, 0 to 1."""
    return log10(min(max(share, _LEAST), _MOST) / _LEAST) / log10(_MOST / _LEAST)


def _x(share: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * _place(share)


def _y(share: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - share)


def _svg(height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
