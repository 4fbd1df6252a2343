"""A curve as a small ``<svg>``, drawn without any library: for cards of results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from thetahat.figures._style import BLUE, ORANGE, spans

_WIDE, _HIGH, _EDGE = 320, 84, 4
_MOST = 200
_COLOURS = (BLUE, ORANGE)


def spark(curves: Mapping[str, Sequence[float]], best: int | None = None) -> str:
    """Draw one or two curves over the same places, the best ringed; empty where all is NaN.

    Args:    best: place in the second curve, or in the only one, counted from 0.
    """
    drawn = dict(list(curves.items())[:2])
    finite = [v for ys in drawn.values() for v in ys if math.isfinite(v)]
    longest = max((len(ys) for ys in drawn.values()), default=0)
    if len(finite) < 2 or longest < 2:
        return ""
    turn = math.log if spans(finite) else float
    low, high = turn(min(finite)), turn(max(finite))

    def place(i: int, value: float) -> str:
        x = _EDGE + (_WIDE - 2 * _EDGE) * i / (longest - 1)
        share = (turn(value) - low) / (high - low) if high > low else 0.5
        return f"{x:.1f},{_HIGH - _EDGE - (_HIGH - 2 * _EDGE) * share:.1f}"

    lines = [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        for ys, colour in zip(drawn.values(), _COLOURS, strict=False)
        for points in _pieces(ys, place)
    ]
    ring = ""
    last = list(drawn.values())[-1]
    if best is not None and 0 <= best < len(last) and math.isfinite(last[best]):
        x, y = place(best, last[best]).split(",")
        ring = f'<circle cx="{x}" cy="{y}" r="3.2" fill="none" stroke="currentColor"/>'
    legend = " ".join(
        f'<span style="color:{colour}">━</span> {name}'
        for name, colour in zip(drawn, _COLOURS, strict=False)
    )
    scale = ", log scale" if turn is math.log else ""
    return (
        f'<div style="margin-top:6px"><svg viewBox="0 0 {_WIDE} {_HIGH}" role="img"'
        f' aria-label="{", ".join(drawn)} by epoch" style="width:100%;max-width:{_WIDE}px">'
        f"{''.join(lines)}{ring}</svg>"
        f'<div style="opacity:.75;font-size:11px">{legend} by epoch{scale}</div></div>'
    )


def _pieces(ys: Sequence[float], place: Callable[[int, float], str]) -> list[str]:
    """Split a curve where it is not finite, and thin it to what the eye can see."""
    step = max(1, len(ys) // _MOST)
    pieces: list[list[str]] = [[]]
    for i in [*range(0, len(ys), step), len(ys) - 1]:
        if math.isfinite(ys[i]):
            pieces[-1].append(place(i, ys[i]))
        elif pieces[-1]:
            pieces.append([])
    return [" ".join(piece) for piece in pieces if len(piece) > 1]
