"""Charts of the evaluation as inline SVG: no script, no font, no network; colours come from the page's style."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from riskd.learn.evaluate.curve import Curve, Point
from riskd.learn.evaluate.report import Calibrated
from riskd.learn.share import Share

WIDTH = 640
COLOURS = 8
"""Lines that differ in colour; those beyond begin again, dashed."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 24, 40
_LEAST, _MOST = 0.0005, 1.0
"""Shares at the ends of the logarithmic scale."""
_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)

LARGE = 50
"""Attempts of a group whose interval the scale must hold; those of smaller groups may be cut off."""

Scale = Callable[[float], float]


def linear(share: float) -> float:
    """Place a share on a scale from 0 to 1."""
    return min(max(share, 0.0), 1.0)


def logarithmic(share: float) -> float:
    """Place a share on a scale from 0.05 % to all; less stands at its beginning."""
    return log10(min(max(share, _LEAST), _MOST) / _LEAST) / log10(_MOST / _LEAST)


@dataclass(frozen=True)
class _Frame:
    """A plane of two shares, with its grid."""

    across: str
    up: str
    label: str
    x_scale: Scale = linear
    y_scale: Scale = linear
    height: int = 380

    def x(self, share: float) -> float:
        """Return where a share lies across."""
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * self.x_scale(share)

    def y(self, share: float) -> float:
        """Return where a share lies up."""
        return _TOP + (self.height - _TOP - _BOTTOM) * (1 - self.y_scale(share))

    def line(self, points: Sequence[tuple[float, float]], kind: str, title: str) -> str:
        """Draw a line through points."""
        drawn = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<g><title>{escape(title)}</title><polyline class="line {kind}" points="{drawn}"/></g>'

    def dot(self, at: tuple[float, float], kind: str, title: str) -> str:
        """Draw a point."""
        x, y = at
        shown = f'<circle class="dot {kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="4.5"/>'
        return f"<g><title>{escape(title)}</title>{shown}</g>"

    def draw(self, parts: Sequence[str]) -> str:
        """Return the chart."""
        return _svg(self.height, self.label, [*self._grid(), *parts])

    def _grid(self) -> Iterator[str]:
        for tick in _TICKS if self.x_scale is logarithmic else _QUARTERS:
            at = self.x(tick)
            yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{self.height - _BOTTOM}"/>'
            yield f'<text x="{at:.1f}" y="{self.height - 24}" text-anchor="middle">{100 * tick:g} %</text>'
        for tick in _TICKS if self.y_scale is logarithmic else _QUARTERS:
            at = self.y(tick)
            yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            yield f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{100 * tick:g} %</text>'
        foot = self.height - 7
        yield f'<text x="{WIDTH - _RIGHT}" y="{foot}" text-anchor="end">{escape(self.across)}</text>'
        yield f'<text x="{_LEFT}" y="12">{escape(self.up)}</text>'


def colour(number: int) -> str:
    """Return the class of a line's colour."""
    return f"c{number % COLOURS}" + (" dashed" if number >= COLOURS else "")


def roc(curves: Sequence[Curve]) -> str:
    """Draw catch over false alarms, a line each, and chance as the diagonal."""
    frame = _Frame("false alarms", "catch", "ROC curves")
    parts = [frame.line([(0, 0), (1, 1)], "then", "chance")]
    for number, curve in enumerate(curves):
        points = [(0.0, 0.0), *((point.false_alarms, point.catch) for point in curve.points), (1.0, 1.0)]
        parts.append(frame.line(points, colour(number), f"{curve.kind}: AUC {curve.roc_auc}"))
    return frame.draw(parts)


def precision_recall(curves: Sequence[Curve], prevalence: float) -> str:
    """Draw precision over recall, a line each; the dashed line is what guessing would reach for all attacks."""
    frame = _Frame("recall", "precision", "precision-recall curves")
    parts = [frame.line([(0, prevalence), (1, prevalence)], "then", f"guessing: {100 * prevalence:.2f} %")]
    for number, curve in enumerate(curves):
        points = [(point.catch, point.precision) for point in curve.points if point.catch > 0]
        parts.append(frame.line(points, colour(number), f"{curve.kind}: average precision {curve.average_precision}"))
    return frame.draw(parts)


def friction_catch(curves: Sequence[Curve], honest: Share, attacks: Share) -> str:
    """Draw catch over the share of honest attempts stopped, logarithmic; the mark is what was really decided."""
    frame = _Frame("honest attempts stopped", "attacks caught", "friction-catch curve", x_scale=logarithmic)
    parts = []
    for number, curve in enumerate(curves):
        title = f"{curve.kind}: {curve.catch_at['0.01']} at 1 %"
        parts.append(frame.line(_steps(curve.points), colour(number), title))
    if attacks.total:
        low, high = honest.interval
        y = frame.y(attacks.value)
        parts.append(f'<line class="whisker then" x1="{frame.x(low):.1f}" x2="{frame.x(high):.1f}" y1="{y}" y2="{y}"/>')
        said = f"decided: {honest} of honest attempts stopped, {attacks} of attacks"
        parts.append(frame.dot((honest.value, attacks.value), "then", said))
    return frame.draw(parts)


def calibration(points: Sequence[Calibrated]) -> str:
    """Draw the observed share of honest attempts over the promised one; on the diagonal the promise is kept."""
    frame = _Frame(
        "promised share of honest attempts", "observed", "calibration", x_scale=logarithmic, y_scale=logarithmic
    )
    parts = [frame.line([(_LEAST, _LEAST), (1, 1)], "then", "as promised")]
    for point in points:
        x = frame.x(point.tail)
        low, high = map(frame.y, point.observed.interval)
        parts.append(f'<line class="whisker now" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        parts.append(frame.dot((point.tail, point.observed.value), "now", f"{100 * point.tail:g} %: {point.observed}"))
    return frame.draw(parts)


def shares(rows: Sequence[tuple[str, Share, str]], label: str, whole: Share | None = None) -> str:
    """Draw shares with their intervals, a line each, on one scale; `whole` is a line across all of them.

    Each row has a name, a share, and the class of its mark.
    """
    left, right, gap, foot = 150, 150, 24, 28
    height = gap * len(rows) + foot + 6
    large = [share for _, share, _ in rows if share.total >= LARGE] or [share for _, share, _ in rows]
    top = max(0.001, *(share.interval[1] for share in large))
    top = next((tick for tick in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if tick >= top), 1.0)

    def x(share: float) -> float:
        return left + (WIDTH - left - right) * min(share, top) / top

    parts = []
    for part in _QUARTERS:
        parts.append(
            f'<line class="grid" x1="{x(part * top):.1f}" x2="{x(part * top):.1f}" y1="4" y2="{height - foot}"/>'
        )
        parts.append(
            f'<text x="{x(part * top):.1f}" y="{height - 10}" text-anchor="middle">{100 * part * top:g} %</text>'
        )
    if whole is not None:
        at = x(whole.value)
        line = f'<line class="line then" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="{height - foot}"/>'
        parts.append(f"<g><title>all: {whole}</title>{line}</g>")
    for number, (name, share, kind) in enumerate(rows):
        y = 6 + gap * (number + 0.5)
        low, high = share.interval
        parts.append(f'<text class="name" x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(name[:24])}</text>')
        parts.append(f"<g><title>{escape(f'{name}: {share}')}</title>")
        parts.append(f'<line class="whisker {kind}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot {kind}" cx="{x(share.value):.1f}" cy="{y}" r="4"/></g>')
        said = f"{100 * share.value:.2f} % of {share.total:,}"
        parts.append(f'<text class="value" x="{WIDTH - 4}" y="{y + 4}" text-anchor="end">{said}</text>')
    return _svg(height, label, parts)


def _steps(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the corners of a curve of thresholds: catch is had only where its false alarms are paid."""
    corners = [(0.0, 0.0)]
    for point in points:
        corners += [(point.false_alarms, corners[-1][1]), (point.false_alarms, point.catch)]
    return [*corners, (1.0, corners[-1][1])]


def _svg(height: int, label: str, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
