"""One style for every figure: few lines, few colours, that the colour-blind tell apart.

Figures are made without pyplot: no global state, no window, and nothing left open behind them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import MissingExtra
from thetahat.figures._page import PageFigure, name_colours
from thetahat.figures._ticks import PageAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, DIM, GRID = "#1a1f26", "#57606c", "#e1e5ea"
COLOURS = ("#0072b2", "#d55e00", "#00805c", "#b0568a", "#b07800", "#3a93c9", "#5c5c5d", "#7a4fb5")
"""After Okabe and Ito (2008), darkened until thin lines have contrast on white."""
name_colours(
    {INK: "ink", DIM: "dim", GRID: "grid", **{c: f"c{k}" for k, c in enumerate(COLOURS, 1)}}
)
BLUE, ORANGE, GREEN = COLOURS[:3]
SIZE = (4.6, 3.0)
"""Inches: half a page, and a phone's width."""
MANY = 1500
"""Points from which on they are rasterised."""
LONGEST = 28
_WIDE = 5.0
"""Values that span more than this factor get a log scale."""
RC = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.parse_math": False,  # a parameter may be called $x$
    "text.color": INK,
    "axes.edgecolor": DIM,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.prop_cycle": None,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "path.simplify_threshold": 0.5,
}


def figures() -> Any:
    """Load matplotlib when a figure is requested.

    Raises:  MissingExtra: it is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise MissingExtra("a figure", "report") from error
    return matplotlib


_STYLED = ContextVar("styled", default=False)
"""Whether our style is applied."""
_PAGE = ContextVar("page", default=False)
"""Whether figures are drawn for a page, without matplotlib."""


@contextlib.contextmanager
def for_page() -> Iterator[None]:
    """Let the functions of this room return figures for ``inline_svg`` inside the block."""
    mark = _PAGE.set(True)
    try:
        yield
    finally:
        _PAGE.reset(mark)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Apply our style inside the block; restore the user's settings after it.

    To set all of matplotlib's settings takes as long as to draw a few dots: a report does it once.
    """
    if _STYLED.get() or _PAGE.get():
        yield
        return
    matplotlib = figures()
    from cycler import cycler

    figure_class()  # loads what all figures need before a report forks

    # Independent of the user's own style: the same store gives the same bytes.
    with warnings.catch_warnings(), matplotlib.rc_context():
        # A name in letters that the font lacks is drawn as boxes, without a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**RC, "axes.prop_cycle": cycler(color=list(COLOURS))})
        mark = _STYLED.set(True)
        try:
            yield
        finally:
            _STYLED.reset(mark)


def axes(size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Make an empty figure with one pair of axes, inside ``styled()``."""
    if _PAGE.get():
        page: Any = PageFigure(size)
        return page, page.axes
    figure = figure_class()(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure, figure.add_subplot()


@functools.cache
def figure_class() -> Any:
    figures()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    class Drawn(Figure):
        """A figure that a notebook shows by itself, also where pyplot was never loaded."""

        def savefig(self, *args: Any, **options: Any) -> None:
            tight = options.get("bbox_inches", figures().rcParams["savefig.bbox"])
            self._saved = tight is None
            try:
                super().savefig(*args, **options)
            finally:
                self._saved = False

        def draw(self, renderer: Any) -> None:
            # To save a figure matplotlib draws it twice; the first time, without any output, only
            # to lay it out.
            engine = self.get_layout_engine()
            if getattr(self, "_saved", False) and isinstance(engine, ConstrainedLayoutEngine):
                engine.execute(self)
            else:
                super().draw(renderer)

        def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
            file = io.BytesIO()
            with styled():
                self.savefig(file, format="png", dpi=192)
            wide, high = self.get_size_inches() * 96
            return file.getvalue(), {"width": round(wide), "height": round(high)}

    Drawn.__name__ = Drawn.__qualname__ = "Figure"
    return Drawn


def label(text: Any, longest: int = LONGEST) -> str:
    """Format a label: one printable line, cut if it is long.

    >>> label("a\\nb"), label("x" * 40, 5)
    ('a\\\\nb', 'xxxx…')
    """
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def tick(value: float, _: Any = None) -> str:
    """Format a number at an axis.

    >>> tick(0.0001), tick(2000.0), tick(1e-7), tick(3e6)
    ('0.0001', '2000', '1e-07', '3e+06')
    """
    return f"{value:.4g}"


def spans(values: Sequence[float]) -> bool:
    """Tell whether values need a log scale: all above zero, and far apart."""
    low, high = _ends(values)
    return low > 0 and high / low > _WIDE


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the greatest finite value; NaN without any."""
    finite = list(filter(math.isfinite, values))
    return (min(finite), max(finite)) if finite else (math.nan, math.nan)


def scale(axis: Any, values: Sequence[float], log: bool | None = None) -> bool:
    """Set an axis (``ax.xaxis``) to a log scale where it helps, with ticks as plain numbers."""
    low, high = _ends(values)
    log = spans(values) if log is None else log and low > 0
    if isinstance(axis, PageAxis):
        axis.log, axis.most, axis.formatter = log, 5 if axis.axis_name == "x" else 6, tick
        return log
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if log:
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        decades = math.log10(high / low)
        subs = (1.0,) if decades > 2.3 else (1.0, 3.0) if decades > 1.6 else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=7))
        # Minor ticks have no length and no text: matplotlib would make some dozens.
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5 if axis.axis_name == "x" else 6))
    axis.set_major_formatter(FuncFormatter(tick))
    return log


def whole(axis: Any) -> None:
    """Put ticks at whole numbers alone."""
    if isinstance(axis, PageAxis):
        axis.whole = True
        return
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(6, integer=True))


def above(ax: Axes) -> None:
    """Put a legend above the axes, in one row, where it hides nothing."""
    handles, _ = ax.get_legend_handles_labels()
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}
    ax.legend(**place, ncols=max(1, len(handles)), columnspacing=1.2)


def says(ax: Axes, text: str) -> None:
    """Write a message in place of a figure that cannot be drawn."""
    ax.text(0.5, 0.5, text, ha="center", va="center", color=DIM, transform=ax.transAxes)
    ax.set_axis_off()
