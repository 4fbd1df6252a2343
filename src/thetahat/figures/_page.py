"""Figures as SVG for a page, without matplotlib, whose import takes longer than to draw them all.

``PageAxes`` has the methods of matplotlib's axes that our figures use, so that the same functions
draw for a page and for a file. It keeps what is drawn until its limits are known.
"""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from thetahat.figures._ticks import PageAxis

Place = Callable[[float, float], tuple[float, float]]
Drawing = Callable[[Place], str]

_FONT, _SMALL, _TITLE = 8.5, 8.0, 9.0
_PAD, _TICK = 4.5, 3.0
_WIDTHS = {" ": 0.32, **dict.fromkeys("ijlI.,:;'|!", 0.3), **dict.fromkeys("frt()[]-/", 0.38)}
_WIDTHS |= {**dict.fromkeys("mwMW%@", 0.92), **dict.fromkeys("ABCDEFGHKNOPQRUVXYZ+=<>~", 0.74)}
"""Widths of letters, in their size: enough for the fonts that a page may have."""
_LETTER = 0.61
_DASHES = {"--": "5.2,2.2", "-.": "6.4,1.6,1,1.6", ":": "1,1.7"}
_SHAPES = {"D": "M-{r} 0L0 -{r}L{r} 0L0 {r}Z", "|": "M0 -{r}V{r}"}
_MANY, _DPI = 1500, 144
"""Dots from which on they are an image, three of its dots for each two of a plain screen."""
_LONG = 2000
_EACH = 4
"""Columns of a long line for each point: of each its ends, least and greatest value are drawn."""


def text_width(text: str, size: float) -> float:
    """Estimate the width of a line of text."""
    return size * sum(_WIDTHS.get(letter, _LETTER if letter.isascii() else 1.0) for letter in text)


class PageFigure:
    """A figure of one pair of axes, in points."""

    def __init__(self, size: tuple[float, float]) -> None:
        self.axes = PageAxes(72 * size[0], 72 * size[1])

    def svg(self, name: str) -> str:
        """Return the figure as an ``<svg>`` whose colours are variables of the page.

        Args:    name: begins every id, so that figures of a page do not take each other's parts.
        """
        return self.axes.svg(name)


class PageAxes:
    """One pair of axes; see matplotlib's for each method."""

    transAxes = "axes"  # noqa: N815

    def __init__(self, wide: float, high: float) -> None:
        self.xaxis, self.yaxis = PageAxis("x"), PageAxis("y")
        self._size, self._bare = (wide, high), False
        self._drawn: list[tuple[float, Drawing]] = []
        self._entries: list[tuple[str, str]] = []
        """Symbols and names of the legend."""
        self._legend: tuple[str, int] | None = None
        self._title: tuple[str, str, float] = ("", "", _TITLE)
        self._right = 0.0
        """Room for text beyond the right end."""

    # What is drawn.

    def plot(self, x: Iterable[float], y: Iterable[float], fmt: str = "-", **style: Any) -> None:
        xs, ys = [float(v) for v in x], [float(v) for v in y]
        marker = fmt if fmt in ("o", *_SHAPES) else style.get("marker")
        dash = "" if fmt in (" ", "o", *_SHAPES) else style.get("ls", fmt)
        colour = colour_of(style.get("color", "#0072b2"))
        line = f'stroke="{colour}" stroke-width="{style.get("lw", 1.4):g}"{_dashed(dash)}'
        symbol = f'<path d="M0 0H12" fill="none" {line}/>' if dash else ""
        flat = style.get("transform")
        if marker:
            shape = _marker(marker, style, colour)
            symbol += shape.format(6 if dash else 7, 0)
            self._add(style.get("zorder", 2) + 0.1, _at_each(shape, xs, ys), flat)
        if dash and xs:
            path = f'fill="none" stroke-linejoin="round" stroke-linecap="round" {line}'
            self._add(style.get("zorder", 2), lambda at: _path(xs, ys, at, path), flat)
        self.xaxis.see(xs)
        if flat is None:
            self.yaxis.see(ys)
        self._name(symbol, style)

    def step(self, x: Sequence[float], y: Sequence[float], **style: Any) -> None:
        style.pop("where")  # "post" is the only one used
        xs = [x[0], *(v for one in x[1:] for v in (one, one))]
        self.plot(xs, [*(v for one in y[:-1] for v in (one, one)), y[-1]], **style)

    def scatter(self, x: Sequence[float], y: Sequence[float], **style: Any) -> None:
        colour, r = colour_of(style["color"]), math.sqrt(style["s"]) / 2
        look = f'fill="{colour}" fill-opacity="{style["alpha"]:g}"'
        xs, ys = [float(v) for v in x], [float(v) for v in y]
        dot = f'<circle cx="{{:.2f}}" cy="{{:.2f}}" r="{r:.2f}" {look}/>'
        if len(xs) > _MANY:
            self._add(style["zorder"], lambda _: self._image(xs, ys, r, style))
        else:
            self._add(style["zorder"], _at_each(dot, xs, ys))
        self.xaxis.see(xs)
        self.yaxis.see(ys)
        shown = f'<circle cx="{{}}" cy="{{}}" r="{max(r, 1.6):.2f}" fill="{colour}"/>'
        self._name(shown.format(7, 0), style)

    def errorbar(
        self, x: Iterable[float], y: Sequence[float], e: Sequence[float], **style: Any
    ) -> None:
        for at, middle, half in zip(x, y, e, strict=True):
            ends = [middle - half, middle + half]
            self.plot([at, at], ends, color=style["color"], lw=style["lw"])
            self.plot([at], [middle], style["fmt"], color=style["color"], ms=style["ms"])

    def fill_between(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], **style: Any
    ) -> None:
        colour = colour_of(style["color"])
        look = f'fill="{colour}" fill-opacity="{style["alpha"]:g}"'
        whole = [
            (a, b, c)
            for a, b, c in zip(x, low, high, strict=True)
            if math.isfinite(b) and math.isfinite(c)
        ]
        xs = [a for a, _, _ in whole]
        there, back = [*xs, *reversed(xs)], [b for _, b, _ in reversed(whole)]
        edge = [*(c for _, _, c in whole), *back]
        self._add(1, lambda at: _path(there, edge, at, look, "Z"))
        self.xaxis.see(xs)
        self.yaxis.see([v for _, b, c in whole for v in (b, c)])
        self._name(f'<rect y="-3" width="12" height="6" {look}/>', style)

    def stairs(self, values: Sequence[float], edges: Sequence[float], **style: Any) -> None:
        xs = [v for edge in edges for v in (edge, edge)]
        ys = [0.0, *(v for value in values for v in (value, value)), 0.0]
        if style.get("fill"):
            self.fill_between(xs, [0.0] * len(xs), ys, **style)
        else:
            self.plot(xs, ys, color=style["color"], lw=style["linewidth"], label=style["label"])
        self.yaxis.sticky = True

    def barh(self, y: float, width: float, **style: Any) -> None:
        fill, edge = colour_of(style["color"]), colour_of(style["ec"])
        look = f'fill="{fill}" stroke="{edge}" stroke-width="{style["lw"]:g}"'
        half = style["height"] / 2
        ends = [0.0, width, width, 0.0], [y - half, y - half, y + half, y + half]
        self._add(1, lambda at: _path(*ends, at, look, "Z"))
        self.xaxis.see([0.0, width])
        self.yaxis.see([y - half, y + half])

    def axvline(self, x: float, **style: Any) -> None:
        self.plot([x, x], [0, 1], transform="x", **_plain_line(style))

    def axhline(self, y: float, **style: Any) -> None:
        self._across([y, y], _plain_line(style))

    def axhspan(self, low: float, high: float, **style: Any) -> None:
        look = f'fill="{colour_of(style["color"])}" fill-opacity="{style["alpha"]:g}"'
        self._add(1, lambda at: _path([0, 1, 1, 0], [low, low, high, high], at, look, "Z"), "y")
        self.yaxis.see([low, high])

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        size, where = style.get("fontsize", _FONT), style.get("transform")
        anchor = {"center": "middle", "right": "end"}.get(style.get("ha", ""), "start")
        down = {"center": 0.35, "top": 0.8}.get(style.get("va", ""), 0.0) * size
        colour = colour_of(style.get("color", "#1a1f26"))

        def draw(at: Place) -> str:
            left, top = at(x, y)
            return _text(text, left, top + down, size, colour, anchor)

        self._add(6, draw, where)
        if where == "y":
            self._right = max(self._right, text_width(text, size))

    # How it is drawn.

    def set_xlabel(self, text: str) -> None:
        self.xaxis.label = text

    def set_ylabel(self, text: str) -> None:
        self.yaxis.label = text

    def set_title(self, text: str, *, color: str, fontsize: float) -> None:
        self._title = (text, colour_of(color), fontsize)

    def set_xlim(self, low: float, high: float) -> None:
        self.xaxis.limits = (low, high)

    def set_ylim(self, low: float, high: float) -> None:
        self.yaxis.limits = (low, high)

    def set_xticks(self, places: Sequence[float], labels: Sequence[str]) -> None:
        self.xaxis.fixed = list(zip(places, labels, strict=True))
        self.xaxis.see(places)

    def set_yticks(self, places: Sequence[float], labels: Sequence[str]) -> None:
        self.yaxis.fixed = list(zip(places, labels, strict=True))
        self.yaxis.see(places)

    def grid(self, *, visible: bool, axis: str) -> None:
        (self.xaxis if axis == "x" else self.yaxis).grid = visible

    def tick_params(self, *, axis: str, length: float) -> None:
        (self.xaxis if axis == "x" else self.yaxis).ticks = length > 0

    def set_axis_off(self) -> None:
        self._bare = True

    def get_xaxis_transform(self) -> str:
        return "x"

    def get_yaxis_transform(self) -> str:
        return "y"

    def get_legend_handles_labels(self) -> tuple[list[str], list[str]]:
        return [symbol for symbol, _ in self._entries], [name for _, name in self._entries]

    def legend(self, *, loc: str = "upper right", ncols: int = 1, **place: Any) -> None:
        self._legend = ("above" if "bbox_to_anchor" in place else loc, ncols)

    # The text of it.

    def svg(self, name: str) -> str:
        """Return the whole ``<svg>``."""
        wide, high = self._size
        head = f'<svg focusable="false" aria-hidden="true" viewBox="0 0 {wide:g} {high:g}"'
        style = 'font-family="DejaVu Sans,system-ui,sans-serif"'
        self._lay_out()
        left, top, right, bottom = self._box
        clip = f'<clipPath id="{name}-c"><rect x="{left - 3:.2f}" y="{top - 3:.2f}" width='
        clip += f'"{right - left + 6:.2f}" height="{bottom - top + 6:.2f}"/></clipPath>'
        below = [] if self._bare else self._frame()
        shown = [draw(self._at) for _, draw in sorted(self._drawn, key=lambda one: one[0])]
        inside = [line for line in shown if not line.startswith("<text")]
        words = [line for line in shown if line.startswith("<text")]
        marks = [f'<g clip-path="url(#{name}-c)">', *inside, "</g>"]
        lines = [f"{head} {style}>", clip, *below, *marks, *words, *self._key(), "</svg>"]
        return "\n".join(filter(None, lines)) + "\n"

    def _lay_out(self) -> None:
        """Find limits and the box of the axes, from what stands around it."""
        wide, high = self._size
        names = [text for _, text in self.yaxis.marks()]
        left = _PAD + max((text_width(text, _SMALL) for text in names), default=0.0) + _TICK + 4
        left += 1.5 * _FONT if self.yaxis.label else 0.0
        under = 1 + max((text.count("\n") for _, text in self.xaxis.marks()), default=0)
        bottom = _PAD + under * 1.2 * _SMALL + _TICK + 2 + (1.5 * _FONT if self.xaxis.label else 0)
        above = (1.6 * _SMALL if self._legend and self._legend[0] == "above" else 0.0) + (
            1.8 * self._title[2] if self._title[0] else 0.0
        )
        last = self.xaxis.marks()[-1:]
        over = max([self._right, *(text_width(t, _SMALL) / 2 - 4 for _, t in last)], default=0.0)
        if self._bare:
            left = bottom = above = over = 0.0
        self._box = (left, _PAD + above, wide - _PAD - max(0.0, over), high - bottom)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self._box
        share_x, share_y = self.xaxis.share(x), self.yaxis.share(y)
        return left + share_x * (right - left), bottom - share_y * (bottom - top)

    def _place(self, flat: str) -> Place:
        """Places whose x, y or both are shares of the axes."""

        def at(x: float, y: float) -> tuple[float, float]:
            left, top, right, bottom = self._box
            share_x = x if flat in ("y", "axes") else self.xaxis.share(x)
            share_y = y if flat in ("x", "axes") else self.yaxis.share(y)
            return left + share_x * (right - left), bottom - share_y * (bottom - top)

        return at

    def _frame(self) -> list[str]:
        """The grid, two axes, their ticks and names."""
        left, top, right, bottom = self._box
        grid, axis, lines = [], [f"M{left:.2f} {top:.2f}V{bottom:.2f}H{right:.2f}"], []
        for value, text in self.xaxis.marks():
            x = left + self.xaxis.share(value) * (right - left)
            grid.append(f"M{x:.2f} {top:.2f}V{bottom:.2f}" if self.xaxis.grid else "")
            axis.append(f"M{x:.2f} {bottom:.2f}v{_TICK}" if self.xaxis.ticks else "")
            for k, line in enumerate(text.split("\n")):
                y = bottom + _TICK + 2 + (0.85 + 1.2 * k) * _SMALL
                lines.append(_text(line, x, y, _SMALL, "var(--ink)", "middle"))
        for value, text in self.yaxis.marks():
            y = bottom - self.yaxis.share(value) * (bottom - top)
            grid.append(f"M{left:.2f} {y:.2f}H{right:.2f}" if self.yaxis.grid else "")
            axis.append(f"M{left:.2f} {y:.2f}h-{_TICK}" if self.yaxis.ticks else "")
            lines.append(
                _text(text, left - _TICK - 2, y + 0.35 * _SMALL, _SMALL, "var(--ink)", "end")
            )
        middle, height = (left + right) / 2, (top + bottom) / 2
        foot = self._size[1] - _PAD
        lines.append(_text(self.xaxis.label, middle, foot, _FONT, "var(--ink)", "middle"))
        turned = f' transform="rotate(-90 {_PAD + 7:.2f} {height:.2f})"'
        lines.append(
            _text(self.yaxis.label, _PAD + 7, height, _FONT, "var(--ink)", "middle", turned)
        )
        text, colour, size = self._title
        lines.append(_text(text, left, _PAD + size, size, colour, "start"))
        return [
            f'<path d="{"".join(grid)}" stroke="var(--grid)" stroke-width="0.6"/>',
            f'<path d="{"".join(axis)}" fill="none" stroke="var(--dim)" stroke-width="0.7"/>',
            *lines,
        ]

    def _key(self) -> list[str]:
        """The legend: in one row above the axes, or in a corner of them."""
        if self._legend is None or not self._entries:
            return []
        loc, columns = self._legend
        _, top, right, _ = self._box
        each = [20 + text_width(text, _SMALL) for _, text in self._entries]
        found = []
        if loc == "above":
            x = max(_PAD, right - sum(each) - 9 * (len(each) - 1))
            for (symbol, text), width in zip(self._entries, each, strict=True):
                found.append(_entry(symbol, text, x, top - 6))
                x += width + 9
            return found
        rows, column = -(-len(each) // columns), max(each)
        x, y = right - columns * column - 6 * (columns - 1) - 2, top + 6
        if loc == "best":
            x, y = self._freest(columns * column, rows * 1.45 * _SMALL, (x, y))
        for k, (symbol, text) in enumerate(self._entries):
            down = 1.45 * _SMALL * (k % rows)
            found.append(_entry(symbol, text, x + (k // rows) * (column + 6), y + down))
        return found

    def _freest(self, wide: float, high: float, corner: tuple[float, float]) -> tuple[float, float]:
        """The corner where fewest points lie under the legend."""
        left, _, _, bottom = self._box
        (right, top), seen = corner, list(zip(self.xaxis.seen, self.yaxis.seen, strict=False))
        corners = [(x, y) for y in (top, bottom - high - 2) for x in (right, left + 6)]

        def under(at: tuple[float, float]) -> int:
            places = [self._at(*one) for one in seen if all(map(math.isfinite, one))]
            inside = (
                at[0] - 3 < x < at[0] + wide and at[1] - 8 < y < at[1] + high for x, y in places
            )
            return sum(inside)

        return min(corners, key=under)

    def _image(
        self, xs: Sequence[float], ys: Sequence[float], r: float, style: dict[str, Any]
    ) -> str:
        """Many dots as an image: how dark a place is says how many lie there."""
        import numpy as np

        left, top, right, bottom = self._box
        scale, edge = _DPI / 72, 3
        px = scale * (edge + self.xaxis.shares(xs) * (right - left))
        py = scale * (edge + (1 - self.yaxis.shares(ys)) * (bottom - top))
        px, py = (one[np.isfinite(px) & np.isfinite(py)] for one in (px, py))
        wide = int((right - left + 2 * edge) * scale) + 1
        high = int((bottom - top + 2 * edge) * scale) + 1
        levels = _covered(px, py, r * scale, style["alpha"], (high, wide))
        data = base64.b64encode(_png(levels, style["color"])).decode()
        place = f'x="{left - edge:.2f}" y="{top - edge:.2f}"'
        size = f'width="{wide / scale:g}" height="{high / scale:g}"'
        return f'<image {place} {size} href="data:image/png;base64,{data}"/>'

    def _add(self, order: float, draw: Drawing, flat: str | None = None) -> None:
        if flat is None:
            self._drawn.append((order, draw))
        else:
            self._drawn.append((order, lambda _: draw(self._place(flat))))

    def _across(self, ys: list[float], style: dict[str, Any]) -> None:
        colour = colour_of(style["color"])
        line = f'fill="none" stroke="{colour}" stroke-width="{style.get("lw", 1):g}"'
        self._add(style.get("zorder", 1), lambda at: _path([0, 1], ys, at, line), "y")
        self.yaxis.see(ys)

    def _name(self, symbol: str, style: dict[str, Any]) -> None:
        if style.get("label"):
            self._entries.append((symbol, style["label"]))


_COLOURS = {"white": "var(--paper)", "none": "none"}


def name_colours(names: dict[str, str]) -> None:
    """Take the page's variable of each colour."""
    _COLOURS.update({colour: f"var(--{name})" for colour, name in names.items()})


def colour_of(colour: str) -> str:
    """Return the page's variable of a colour."""
    return _COLOURS[colour]


def _plain_line(style: dict[str, Any]) -> dict[str, Any]:
    return {**style, "lw": style.get("lw", style.get("linewidth", 1.0))}


def _dashed(dash: Any) -> str:
    if isinstance(dash, tuple):  # as matplotlib has it: (offset, lengths in line widths)
        return f' stroke-dasharray="{",".join(f"{v:g}" for v in dash[1])}"'
    return f' stroke-dasharray="{_DASHES[dash]}"' if dash in _DASHES else ""


def _marker(marker: str, style: dict[str, Any], colour: str) -> str:
    r = style.get("ms", 6) / 2
    fill, edge = colour_of(style.get("mfc", "none")), style.get("mec")
    fill = colour if "mfc" not in style else fill
    look = f'fill="{fill}" stroke="{colour_of(edge) if edge else colour}"'
    look += f' stroke-width="{style.get("mew", 1.0):g}"'
    if marker == "o":
        return f'<circle cx="{{:.2f}}" cy="{{:.2f}}" r="{r:g}" {look}/>'
    shape = _SHAPES[marker].format(r=f"{1.2 * r:g}")
    return f'<path transform="translate({{:.2f}} {{:.2f}})" d="{shape}" {look}/>'


def _at_each(shape: str, xs: Sequence[float], ys: Sequence[float]) -> Drawing:
    def draw(at: Place) -> str:
        places = (at(x, y) for x, y in zip(xs, ys, strict=True))
        return "".join(shape.format(*place) for place in places if all(map(math.isfinite, place)))

    return draw


def _path(xs: Sequence[float], ys: Sequence[float], at: Place, look: str, end: str = "") -> str:
    """A line through places; what is not finite is a gap."""
    parts, letter = [], "M"
    for x, y in _thinned([at(x, y) for x, y in zip(xs, ys, strict=True)]):
        if not (math.isfinite(x) and math.isfinite(y)):
            letter = "M"
            continue
        parts.append(f"{letter}{x:.2f} {y:.2f}")
        letter = "L"
    return f'<path d="{"".join(parts)}{end}" {look}/>' if parts else ""


def _thinned(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of a long line, the ends and extremes of each narrow column: it looks the same."""
    if len(places) <= _LONG or not all(math.isfinite(v) for place in places for v in place):
        return places
    found: list[tuple[float, float]] = []
    start = 0
    for k in range(1, len(places) + 1):
        column = round(_EACH * places[start][0])
        if k < len(places) and round(_EACH * places[k][0]) == column:
            continue
        here = range(start, k)
        low = min(here, key=lambda i: places[i][1])
        high = max(here, key=lambda i: places[i][1])
        found += [places[i] for i in sorted({start, low, high, k - 1})]
        start = k
    return found


def _text(
    text: str, x: float, y: float, size: float, colour: str, anchor: str, more: str = ""
) -> str:
    if not text:
        return ""
    place = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" fill="{colour}"'
    return f'<text {place} text-anchor="{anchor}"{more}>{html.escape(text)}</text>'


def _entry(symbol: str, text: str, x: float, y: float) -> str:
    shown = f'<g transform="translate({x:.2f} {y:.2f})">{symbol}</g>'
    return shown + _text(text, x + 16, y + 0.35 * _SMALL, _SMALL, "var(--ink)", "start")


def _covered(px: Any, py: Any, r: float, alpha: float, shape: tuple[int, int]) -> Any:
    """How opaque each place of an image is, in 64 levels, under dots one over another."""
    import numpy as np

    high, wide = shape
    column, row = np.floor(px).astype(np.int32), np.floor(py).astype(np.int32)
    inside = (column >= 0) & (column < wide) & (row >= 0) & (row < high)
    px, py, column, row = px[inside], py[inside], column[inside], row[inside]
    reach = math.ceil(r + 0.5)
    around = np.arange(-reach, reach + 1)
    away_x = (column - px)[:, None] + (around + 0.5)
    away_y = (row - py)[:, None] + (around + 0.5)
    away = np.sqrt((away_x**2)[:, None, :] + (away_y**2)[:, :, None])
    seen = np.clip(r + 0.5 - away, 0, 1)
    high_all, wide_all = high + 2 * reach, wide + 2 * reach
    first = (row + reach) * wide_all + column + reach
    where = first[:, None, None] + (around[:, None] * wide_all + around)
    near = seen > 0
    clear = np.bincount(where[near], np.log1p(-alpha * seen[near]), high_all * wide_all)
    clear = clear.reshape(high_all, wide_all)
    clear = clear[reach : reach + high, reach : reach + wide]
    return np.round(-63 * np.expm1(clear)).astype(np.uint8)


def _png(levels: Any, colour: str) -> bytes:
    """An image of one colour whose opacity has 64 levels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    high, wide = levels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in levels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes.fromhex(colour.removeprefix("#")) * 64)
        + chunk(b"tRNS", bytes(round(255 * k / 63) for k in range(64)))
        + chunk(b"IDAT", zlib.compress(lines, 6))
        + chunk(b"IEND", b"")
    )
