"""Observations, their splits, orders and batches, simulated draws and tables."""

from thetahat.data import dgp as dgp
from thetahat.data._containers import Data as Data
from thetahat.data._containers import Observations as Observations
from thetahat.data._containers import is_concrete as is_concrete
from thetahat.data._containers import n_observations as n_observations
from thetahat.data._containers import weights_of as weights_of
from thetahat.data._permutation import permutation as permutation
from thetahat.data._rows import Rows as Rows
from thetahat.data._rows import content_hash as content_hash
from thetahat.data._rows import gather as gather
from thetahat.data._rows import is_streamed as is_streamed
from thetahat.data._sampling import Batches as Batches
from thetahat.data._sampling import Shuffle as Shuffle
from thetahat.data._sampling import order as order
from thetahat.data._split import split as split
from thetahat.data._stream import stream_table as stream_table
from thetahat.data._table import Table as Table
from thetahat.data._table import read_table as read_table
from thetahat.data._transform import Transform as Transform
