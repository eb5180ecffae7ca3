"""Lines on logarithmic axes as SVG: what Markdown can show, made without a library."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 460, 300, 64, 34, 120, 44
_COLOURS = ("#1f6fb4", "#c4541a", "#2b8a3e", "#7b4bb3")

Points = Sequence[tuple[float, float]]


def write(path: Path, title: str, across: str, up: str, lines: Mapping[str, Points]) -> None:
    """Write one chart: points of each line joined, both axes logarithmic."""
    places = [point for points in lines.values() for point in points]
    low_x, high_x = _decades([x for x, _ in places])
    low_y, high_y = _decades([y for _, y in places])

    def place(x: float, y: float) -> tuple[float, float]:
        over = (math.log10(x) - low_x) / (high_x - low_x)
        above = (math.log10(y) - low_y) / (high_y - low_y)
        return _LEFT + over * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - above * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{escape(title)}</text>',
    ]
    for decade in range(math.floor(low_x), math.ceil(high_x) + 1):
        if low_x <= decade <= high_x:
            (x, bottom), (_, top) = place(10.0**decade, 10.0**low_y), place(10.0**decade, 10.0**high_y)
            parts.append(f'<path d="M{x:.1f} {bottom:.1f}V{top:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{_shown(decade)}</text>')
    for decade in range(math.floor(low_y), math.ceil(high_y) + 1):
        if low_y <= decade <= high_y:
            (left, y), (right, _) = place(10.0**low_x, 10.0**decade), place(10.0**high_x, 10.0**decade)
            parts.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{_shown(decade)}</text>')
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn = [place(x, y) for x, y in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in drawn]
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 10}" y="{_TOP + 14 + 16 * number}" fill="{colour}">{escape(name)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    parts.append(
        f'<text transform="translate(14 {_HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(up)}</text></svg>'
    )
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return the powers of ten that hold the values, and at least one between them."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return low, max(high, low + 1)


def _shown(decade: int) -> str:
    return f"{10**decade:,}" if 0 <= decade < 7 else f"{10.0**decade:g}"
