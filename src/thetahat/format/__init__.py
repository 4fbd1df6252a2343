"""Numbers and text as cells, tables, LaTeX, and sparklines: one style for all output."""

from thetahat.format._numbers import (
    NOT_FINITE as NOT_FINITE,
    column_cells as column_cells,
    cut as cut,
    escaped as escaped,
    short as short,
    size as size,
    word as word,
)
from thetahat.format._sparkline import sparkline as sparkline
from thetahat.format._table import (
    FORMATS as FORMATS,
    STATUS_STYLES as STATUS_STYLES,
    Column as Column,
    CsvLines as CsvLines,
    fit_width as fit_width,
    json_text as json_text,
    latex_text as latex_text,
    paint as paint,
    strict as strict,
    table as table,
)

__all__ = [
    "FORMATS",
    "NOT_FINITE",
    "STATUS_STYLES",
    "Column",
    "CsvLines",
    "column_cells",
    "cut",
    "escaped",
    "fit_width",
    "json_text",
    "latex_text",
    "paint",
    "short",
    "size",
    "sparkline",
    "strict",
    "table",
    "word",
]
