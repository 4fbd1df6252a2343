"""Observations, splits, orders, batches, simulated draws and tables."""

from thetahat.data import dgp as dgp
from thetahat.data._cache import (
    cache_folder as cache_folder,
    jax_setting as jax_setting,
    use_cache as use_cache,
)
from thetahat.data._cells import cells_of as cells_of
from thetahat.data._classes import (
    Classes as Classes,
    check_levels as check_levels,
    listed as listed,
    with_y as with_y,
)
from thetahat.data._column_names import (
    ColumnNames as ColumnNames,
    column_names as column_names,
    frame_names as frame_names,
)
from thetahat.data._columns import named_row as named_row
from thetahat.data._containers import (
    Data as Data,
    Observations as Observations,
    as_part as as_part,
    check_one_length as check_one_length,
    is_concrete as is_concrete,
    n_observations as n_observations,
    weights_of as weights_of,
)
from thetahat.data._folds import Folds as Folds, folds as folds
from thetahat.data._gaps import blank as blank, say_gone as say_gone
from thetahat.data._host_orders import host_orders as host_orders, orders_on_host as orders_on_host
from thetahat.data._named_rows import LaterRows as LaterRows, NamedRows as NamedRows
from thetahat.data._permutation import permutation as permutation
from thetahat.data._readers import table_columns as table_columns, table_names as table_names
from thetahat.data._rotation import (
    held_out as held_out,
    joined as joined,
    ring_rows as ring_rows,
    rotated as rotated,
    rotated_rows as rotated_rows,
)
from thetahat.data._row_order import (
    check_order as check_order,
    refuse_sparse as refuse_sparse,
    unmasked as unmasked,
)
from thetahat.data._rows import (
    Rows as Rows,
    blocks as blocks,
    content_hash as content_hash,
    gather as gather,
    is_streamed as is_streamed,
)
from thetahat.data._samples import Samples as Samples
from thetahat.data._sampling import Batches as Batches, Shuffle as Shuffle, order as order
from thetahat.data._split import split as split
from thetahat.data._stored import from_stored as from_stored, to_stored as to_stored
from thetahat.data._stream import stream_table as stream_table
from thetahat.data._table import Table as Table, read_table as read_table
from thetahat.data._threefry import (
    folded_in as folded_in,
    is_default_generator as is_default_generator,
    random_words as random_words,
)
from thetahat.data._transform import (
    UNSEEN as UNSEEN,
    TargetUnits as TargetUnits,
    Transform as Transform,
    robust as robust,
    robust_units as robust_units,
)
from thetahat.data._units import (
    check_same_classes as check_same_classes,
    check_same_columns as check_same_columns,
    in_units_of as in_units_of,
)

__all__ = [
    "UNSEEN",
    "Batches",
    "Classes",
    "ColumnNames",
    "Data",
    "Folds",
    "LaterRows",
    "NamedRows",
    "Observations",
    "Rows",
    "Samples",
    "Shuffle",
    "Table",
    "TargetUnits",
    "Transform",
    "as_part",
    "blank",
    "blocks",
    "cache_folder",
    "cells_of",
    "check_levels",
    "check_one_length",
    "check_order",
    "check_same_classes",
    "check_same_columns",
    "column_names",
    "content_hash",
    "dgp",
    "folded_in",
    "folds",
    "frame_names",
    "from_stored",
    "gather",
    "held_out",
    "host_orders",
    "in_units_of",
    "is_concrete",
    "is_default_generator",
    "is_streamed",
    "jax_setting",
    "joined",
    "listed",
    "n_observations",
    "named_row",
    "order",
    "orders_on_host",
    "permutation",
    "random_words",
    "read_table",
    "refuse_sparse",
    "ring_rows",
    "robust",
    "robust_units",
    "rotated",
    "rotated_rows",
    "say_gone",
    "split",
    "stream_table",
    "table_columns",
    "table_names",
    "to_stored",
    "unmasked",
    "use_cache",
    "weights_of",
    "with_y",
]
