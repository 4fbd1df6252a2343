"""What people look at: tables that fit the window, and the same numbers for papers and programs."""

from thetahat.report._document import Document as Document, Grid as Grid, Picture as Picture
from thetahat.report._notebook import Plots as Plots, Sweep as Sweep, open_sweep as open_sweep
from thetahat.report._numbers import column_cells as column_cells, short as short, word as word
from thetahat.report._replace import (
    MADE_BY as MADE_BY,
    is_predictions as is_predictions,
    is_report as is_report,
    refuse_foreign as refuse_foreign,
    refuse_input as refuse_input,
)
from thetahat.report._sparkline import sparkline as sparkline
from thetahat.report._tables import (
    FORMATS as FORMATS,
    STATUS_STYLES as STATUS_STYLES,
    Column as Column,
    fit_width as fit_width,
    json_text as json_text,
    latex_text as latex_text,
    paint as paint,
    strict as strict,
    table as table,
)
from thetahat.report._write import (
    REPORT_FORMATS as REPORT_FORMATS,
    find_subject as find_subject,
    format_of as format_of,
    make_report as make_report,
    render as render,
    save_figures as save_figures,
    write_whole as write_whole,
)
