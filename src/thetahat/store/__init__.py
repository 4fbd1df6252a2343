"""Where runs live: one SQLite file, a function of events that fills it, and ``th.start``."""

from thetahat.store._manual import ManualRun as ManualRun
from thetahat.store._manual import start as start
from thetahat.store._provenance import provenance as provenance
from thetahat.store._query import Condition as Condition
from thetahat.store._query import check_columns as check_columns
from thetahat.store._query import known_columns as known_columns
from thetahat.store._query import read_condition as read_condition
from thetahat.store._query import value_of as value_of
from thetahat.store._records import Block as Block
from thetahat.store._rows import NewRun as NewRun
from thetahat.store._rows import RunRow as RunRow
from thetahat.store._schema import VERSION as VERSION
from thetahat.store._sqlite import locate as locate
from thetahat.store._store import Store as Store
from thetahat.store._store import open_store as open_store
from thetahat.store._tracker import StoreTracker as StoreTracker
from thetahat.store._tracker import store_tracker as store_tracker
from thetahat.store._writer import Writer as Writer
