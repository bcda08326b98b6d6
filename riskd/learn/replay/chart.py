"""Charts of the report as inline SVG: no script, no font, no network; colours come from the page's style.

What was recorded is drawn hollow or grey, what would be decided now solid, so that a print without colour can be read.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import log10

from riskd.learn.replay.report import Rate, Sides

WIDTH = 640
Scale = Callable[[float], float]
"""A share, as a place on the page."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 26
_STEPS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def percent(share: float, digits: int = 2) -> str:
    """Write a share for people."""
    return f"{100 * share:.{digits}f} %"


def over_time(days: Sequence[str], sides: Sequence[Sides], label: str, height: int = 190) -> str:
    """Draw a share per day, then and now, each now with its interval; days are ISO dates, ascending."""
    top = max([0.001, *(max(s.then.share, s.now.share) for s in sides)])
    step = _step(top)
    top = step * (int(top / step) + 1)
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    xs = [_LEFT + wide * (i + 0.5) / len(days) for i in range(len(days))]

    def y(share: float) -> float:
        return _TOP + high * (1 - min(share, top) / top)

    parts = [_grid(top, step, y)]
    every = -(-len(days) // 8)
    parts += [
        f'<text class="tick" x="{xs[i]:.1f}" y="{height - 8}" text-anchor="middle">{days[i][5:]}</text>'
        for i in range(0, len(days), every)
    ]
    if len(days) > 1:
        band = [(x, y(s.now.interval[1])) for x, s in zip(xs, sides, strict=True)]
        band += [(x, y(s.now.interval[0])) for x, s in zip(reversed(xs), reversed(sides), strict=True)]
        parts.append(f'<polygon class="band" points="{_points(band)}"/>')
        for name, shares in (("then", [s.then.share for s in sides]), ("now", [s.now.share for s in sides])):
            points = _points([(x, y(share)) for x, share in zip(xs, shares, strict=True)])
            parts.append(f'<polyline class="line {name}" points="{points}"/>')
    for x, day, s in zip(xs, days, sides, strict=True):
        said = f"{day}: {percent(s.then.share)} then, {percent(s.now.share)} now, of {s.now.of:,}"
        parts.append(
            f'<g><title>{said}</title><circle class="dot then" cx="{x:.1f}" cy="{y(s.then.share):.1f}" r="2.2"/>'
            f'<circle class="dot now" cx="{x:.1f}" cy="{y(s.now.share):.1f}" r="2.2"/></g>'
        )
    return _svg(height, label, parts)


def scores(then: Sequence[int], now: Sequence[int], label: str, height: int = 200) -> str:
    """Draw how many decisions have each score, by whole points; the scale of counts is logarithmic."""
    top = log10(max(1, *then, *now)) + 0.15
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    bar = wide / len(now)

    def y(count: float) -> float:
        return _TOP + high * (1 - (log10(count) / top if count > 1 else 0.04 if count else 0))

    parts = []
    for power in range(int(top) + 1):
        at = y(10**power) if power else _TOP + high * 0.96
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{10**power:,}</text>')
    for i, count in enumerate(now):
        if count:
            said = f"score {i}: {then[i]:,} then, {count:,} now"
            parts.append(
                f'<rect class="bar now" x="{_LEFT + i * bar + 0.4:.1f}" y="{y(count):.1f}" width="{bar - 0.8:.1f}" '
                f'height="{_TOP + high - y(count):.1f}"><title>{said}</title></rect>'
            )
    parts += [
        f'<rect class="bar then" x="{_LEFT + i * bar + 0.4:.1f}" y="{y(count):.1f}" width="{bar - 0.8:.1f}" '
        f'height="{_TOP + high - y(count):.1f}"/>'
        for i, count in enumerate(then)
        if count
    ]
    for score in range(0, 101, 20):
        x = _LEFT + (score + 0.5) * bar
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{score}</text>')
    return _svg(height, label, parts)


def intervals(rows: Sequence[tuple[str, Sides]], label: str) -> str:
    """Draw shares then and now with their intervals, a line each, on one scale; change in points on the right."""
    left, right, gap, foot = 134, 182, 30, 30
    height = gap * len(rows) + foot + 6
    low = min(s.interval[0] for _, sides in rows for s in (sides.then, sides.now))
    high = max(s.interval[1] for _, sides in rows for s in (sides.then, sides.now))
    step = _step(max(high - low, 0.002))
    low, high = step * int(low / step), min(1.0, step * (int(high / step - 1e-9) + 1))
    wide = WIDTH - left - right

    def x(share: float) -> float:
        return left + wide * (share - low) / (high - low)

    parts = []
    for i in range(round((high - low) / step) + 1):
        at = low + i * step
        parts.append(f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="4" y2="{height - foot}"/>')
        parts.append(
            f'<text class="tick" x="{x(at):.1f}" y="{height - 12}" text-anchor="middle">{_tick(at, step)}</text>'
        )
    for i, (name, sides) in enumerate(rows):
        middle = 6 + gap * (i + 0.5)
        parts.append(f'<text class="name" x="{left - 12}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        parts.append(_whisker("then", sides.then, middle - 5, x))
        parts.append(_whisker("now", sides.now, middle + 5, x))
        moved = f"{100 * sides.then.share:.1f} → {percent(sides.now.share, 1)}"
        parts.append(f'<text class="value" x="{WIDTH - 62}" y="{middle + 4:.1f}" text-anchor="end">{moved}</text>')
        change = f"{100 * sides.change:+.2f}" if sides.then.count != sides.now.count else "0"
        parts.append(f'<text class="value" x="{WIDTH - 4}" y="{middle + 4:.1f}" text-anchor="end">{change}</text>')
    return _svg(height, label, parts)


def dumbbell(sides: Sides, top: float) -> str:
    """Draw one share then and now on a scale from 0 to `top`: a line in a table."""
    wide, high = 130, 16
    then, now = (6 + (wide - 12) * share / top for share in (sides.then.share, sides.now.share))
    way = "worse" if now > then else "better"
    said = f"{percent(sides.then.share)} then, {percent(sides.now.share)} now"
    return (
        f'<svg class="spark" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img" aria-label="{said}">'
        f'<title>{said}</title><line class="grid" x1="6" x2="{wide - 6}" y1="8" y2="8"/>'
        f'<line class="link {way}" x1="{then:.1f}" x2="{now:.1f}" y1="8" y2="8"/>'
        f'<circle class="dot then" cx="{then:.1f}" cy="8" r="4"/>'
        f'<circle class="dot now" cx="{now:.1f}" cy="8" r="3.6"/></svg>'
    )


def _whisker(name: str, rate: Rate, y: float, x: Scale) -> str:
    low, high = rate.interval
    said = f"{percent(rate.share)} ({percent(low)} to {percent(high)}), {rate.count:,} of {rate.of:,}"
    return (
        f'<g><title>{name}: {said}</title><line class="whisker {name}" x1="{x(low):.1f}" x2="{x(high):.1f}" '
        f'y1="{y:.1f}" y2="{y:.1f}"/><circle class="dot {name}" cx="{x(rate.share):.1f}" cy="{y:.1f}" r="3.6"/></g>'
    )


def _grid(top: float, step: float, y: Scale) -> str:
    parts = []
    for i in range(round(top / step) + 1):
        at = y(i * step)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{_tick(i * step, step)}</text>'
        )
    return "".join(parts)


def _step(span: float) -> float:
    """Return a round distance of the scale's lines, for four to six of them."""
    return next((step for step in _STEPS if span / step <= 5), 0.25)


def _tick(share: float, step: float) -> str:
    digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
    return f"{100 * share:.{digits}f} %"


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg(height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
