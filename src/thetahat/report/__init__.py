"""Reports of sweeps and runs, as files, and their figures."""

from thetahat.report._document import Document as Document, Grid as Grid, Picture as Picture
from thetahat.report._plots import Plots as Plots
from thetahat.report._tables import plot_table as plot_table
from thetahat.report._write import (
    MADE_BY as MADE_BY,
    REPORT_FORMATS as REPORT_FORMATS,
    find_subject as find_subject,
    format_of as format_of,
    is_predictions as is_predictions,
    is_report as is_report,
    make_report as make_report,
    refuse_foreign as refuse_foreign,
    refuse_input as refuse_input,
    render as render,
    save_figures as save_figures,
    write_whole as write_whole,
)

__all__ = [
    "MADE_BY",
    "REPORT_FORMATS",
    "Document",
    "Grid",
    "Picture",
    "Plots",
    "find_subject",
    "format_of",
    "is_predictions",
    "is_report",
    "make_report",
    "plot_table",
    "refuse_foreign",
    "refuse_input",
    "render",
    "save_figures",
    "write_whole",
]
