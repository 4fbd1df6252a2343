"""What people look at: tables that fit the window, and the same numbers for papers and programs."""

from thetahat.report._numbers import column_cells as column_cells
from thetahat.report._numbers import short as short
from thetahat.report._numbers import word as word
from thetahat.report._sparkline import sparkline as sparkline
from thetahat.report._tables import FORMATS as FORMATS
from thetahat.report._tables import STATUS_STYLES as STATUS_STYLES
from thetahat.report._tables import Column as Column
from thetahat.report._tables import fit_width as fit_width
from thetahat.report._tables import json_text as json_text
from thetahat.report._tables import latex_text as latex_text
from thetahat.report._tables import paint as paint
from thetahat.report._tables import strict as strict
from thetahat.report._tables import table as table
