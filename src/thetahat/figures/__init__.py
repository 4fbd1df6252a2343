"""Figures for papers and screens: functions of plain numbers that return matplotlib figures."""

from thetahat.figures._curves import (
    Curve as Curve,
    draw_band as draw_band,
    draw_curves as draw_curves,
    draw_fit as draw_fit,
)
from thetahat.figures._effects import (
    draw_estimates as draw_estimates,
    draw_overlap as draw_overlap,
)
from thetahat.figures._panels import (
    Heat as Heat,
    Line as Line,
    Panel as Panel,
    draw_panels as draw_panels,
)
from thetahat.figures._save import KINDS as KINDS, image as image, inline_svg as inline_svg
from thetahat.figures._spark import spark as spark
from thetahat.figures._style import (
    for_page as for_page,
    label as label,
    styled as styled,
    tick as tick,
)
from thetahat.figures._sweeps import (
    Bar as Bar,
    Strip as Strip,
    draw_contour as draw_contour,
    draw_front as draw_front,
    draw_importance as draw_importance,
    draw_parallel as draw_parallel,
    draw_progress as draw_progress,
    draw_slice as draw_slice,
    draw_strips as draw_strips,
)
from thetahat.figures._tables import TableCurve as TableCurve, draw_tables as draw_tables

__all__ = [
    "KINDS",
    "Bar",
    "Curve",
    "Heat",
    "Line",
    "Panel",
    "Strip",
    "TableCurve",
    "draw_band",
    "draw_contour",
    "draw_curves",
    "draw_estimates",
    "draw_fit",
    "draw_front",
    "draw_importance",
    "draw_overlap",
    "draw_panels",
    "draw_parallel",
    "draw_progress",
    "draw_slice",
    "draw_strips",
    "draw_tables",
    "for_page",
    "image",
    "inline_svg",
    "label",
    "spark",
    "styled",
    "tick",
]
