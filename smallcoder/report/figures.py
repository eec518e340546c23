"""Figures as inline SVG text: lines over steps, and dots with intervals.

Written by hand rather than by a plotting library, so that colours and fonts come from the page's own style (light and
dark), text stays text, and a figure is a few kilobytes. Every text from outside is escaped here. Not here: bars, which
the page's tables draw with CSS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

Points = Sequence[tuple[float, float]]

WIDTH = 460
HEIGHT = 240
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 12, 38
MOST_POINTS = 150
LARGEST = 1e12  # what is larger, infinite or not a number is not drawn


@dataclass(frozen=True)
class Interval:
    """A share with its 95% interval, all between 0 and 1, drawn in the colour of its series."""

    series: int
    share: float
    low: float
    high: float
    title: str


def line_chart(points: Points, y_label: str, x_label: str = "step", dots: bool = False) -> Markup:
    """One line over steps, thinned to means of equal stretches. Empty where there are fewer than two points."""
    drawn = [(x, y) for x, y in points if 0 <= x < LARGEST and abs(y) < LARGEST]
    if len(drawn) < 2:
        return Markup("")
    shown = thin(drawn, MOST_POINTS)
    x_ticks = ticks(0, max(x for x, _ in shown), 5)
    y_ticks = ticks(min(y for _, y in shown), max(y for _, y in shown), 5)
    x_span, y_span = (0.0, x_ticks[-1]), (y_ticks[0], y_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * (x - x_span[0]) / (x_span[1] - x_span[0])
        down = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y_span[0]) / (y_span[1] - y_span[0])
        return across, down

    parts = []
    for value in y_ticks:
        y = place(0, value)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for value in x_ticks:
        x = place(value, y_ticks[0])[0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(value)}</text>')
    placed = [place(x, y) for x, y in shown]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    parts.append(f'<polyline class="line" points="{path}"/>')
    if dots:
        parts += [f'<circle class="dot0" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed]
    parts.append(f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_label)}</text>')
    return _svg(WIDTH, HEIGHT, parts, y_label)


def dot_plot(rows: Sequence[tuple[str, Sequence[Interval]]], width: int = 720) -> Markup:
    """One row a label, on it one dot with its interval for each series, on a common axis from 0 to 100%."""
    if not rows:
        return Markup("")
    left, step = 190, 46
    height = step * len(rows) + 30

    def across(share: float) -> float:
        return left + (width - left - 60) * share

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = across(share)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 24}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{share:.0%}</text>')
    for index, (label, intervals) in enumerate(rows):
        middle = step * index + step / 2 + 4
        parts.append(
            f'<text class="label" x="{left - 16}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )
        for place, item in enumerate(intervals):
            y = middle + 13 * (place - (len(intervals) - 1) / 2)
            low, high, x = across(item.low), across(item.high), across(item.share)
            parts.append(
                f'<g class="series{item.series}"><title>{escape(item.title)}</title>'
                f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
                f'<text x="{high + 9:.1f}" y="{y + 4:.1f}">{item.share:.1%}</text></g>'
            )
    return _svg(width, height, parts, "shares with 95% intervals")


def load_chart(loads: Sequence[Sequence[float]]) -> Markup:
    """One row a layer, one square an expert: the fuller, the more tokens it gets; an even share fills half of it."""
    if not loads or not loads[0]:
        return Markup("")
    count = len(loads[0])
    step = min(28.0, (WIDTH - LEFT - RIGHT) / count)
    parts = []
    for layer, row in enumerate(loads):
        y = TOP + step * layer
        parts.append(f'<text x="{LEFT - 8}" y="{y + step * 0.7:.1f}" text-anchor="end">{layer}</text>')
        for expert, share in enumerate(row):
            even = share * count
            whole, x = step - 2, LEFT + step * expert + 1
            side = whole * min(1.0, (even / 2) ** 0.5)
            inset = (whole - side) / 2
            parts.append(
                f"<g><title>layer {layer}, expert {expert}: {even:.2f} of an even share</title>"
                f"{_square('cell', x, y, whole)}{_square('load', x + inset, y + inset, side)}</g>"
            )
    return _svg(WIDTH, ceil(TOP + step * len(loads) + 6), parts, "share of tokens of each expert, by layer")


def _square(style: str, x: float, y: float, side: float) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}"/>'


def thin(points: Points, most: int) -> list[tuple[float, float]]:
    """At most `most` points: the means of stretches of equal count. The last stretch may be shorter."""
    size = ceil(len(points) / most)
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in stretches]


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers, about `count` steps apart, from at or below `low` to at or above `high`."""
    size = max(1.0, abs(low), abs(high))
    span = high - low if high - low > 1e-9 * size else size  # a flat line gets an axis too
    unit = 10 ** floor(log10(span / count))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if span / (unit * factor) <= count)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [step * index for index in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """A tick's number: no more digits than it needs."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> Markup:
    body = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{body}</svg>')
