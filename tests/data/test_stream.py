"""Parquet larger than memory: the same rows, batches and bits as in memory, in bounded memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thetahat.core.errors import ConfigError, DataError, MissingExtra, RunFailed

# Blocks, files and disks are made small, missing or full.
from thetahat.data import (
    Batches,
    Data,
    Observations,
    Rows,
    _readers,
    _rows,
    _stream,
    content_hash,
    gather,
    is_streamed,
    read_table,
    split,
    stream_table,
)


def frame(n: int = 500, missing: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "y": rng.normal(size=n) + 1000,
            "a": rng.normal(size=n) * 3 + 2000,
            "b": rng.integers(0, 9, n),
            "g": rng.choice(["u", "v", "w"], n),
            "flag": rng.random(n) < 0.3,
            "w": rng.random(n),
        }
    )
    if missing:
        made.loc[rng.random(n) < 0.1, "a"] = np.nan
        made.loc[rng.random(n) < 0.1, "g"] = None
    return made


ROLES = {"target": "y", "weights": "w", "categorical": ["g"]}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many blocks and many returned pages also on small files."""
    monkeypatch.setattr(_stream, "_BLOCK_VALUES", 256)
    monkeypatch.setattr(_rows, "BLOCK_VALUES", 128)
    monkeypatch.setattr(_rows, "RESIDENT_BYTES", 1 << 20)
    monkeypatch.chdir(tmp_path)


def write(data: pd.DataFrame, name: str = "t.parquet", row_group: int = 90) -> Path:
    path = Path(name)
    data.to_parquet(path, row_group_size=row_group, index=False)
    return path


def test_streamed_table_is_the_table() -> None:
    path = write(frame())
    streamed, whole = stream_table(path, **ROLES), read_table(path, **ROLES)
    assert isinstance(streamed.x, np.memmap)
    assert streamed.encoder == whole.encoder
    assert content_hash(streamed.obs) == content_hash(whole.obs)
    assert is_streamed(streamed.obs)
    assert not is_streamed(whole.obs)


@pytest.mark.filterwarnings("ignore:.* rows are left out")
@pytest.mark.parametrize("missing", ["refuse", "drop", "mean"])
def test_batches_are_bit_identical_to_those_in_memory(missing: str) -> None:
    path = write(frame(missing=missing != "refuse"))
    one = split(stream_table(path, **ROLES, missing=missing), seed=4)
    two = split(read_table(path, **ROLES, missing=missing), seed=4)
    assert isinstance(one.train.x, Rows)
    assert isinstance(two.train.x, np.ndarray)
    assert is_streamed(one.train)
    jax.tree.map(np.testing.assert_array_equal, one.transform, two.transform)
    for name in ("train", "val", "test"):
        streamed = Batches(getattr(one, name), 32, seed=1)
        in_memory = Batches(getattr(two, name), 32, seed=1)
        for _ in range(2):
            for a, b in zip(streamed, in_memory, strict=True):
                for mine, theirs in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
                    assert mine.dtype == theirs.dtype == np.float64
                    assert mine.tobytes() == theirs.tobytes()
                    assert mine.astype(np.float32).tobytes() == theirs.astype(np.float32).tobytes()
        assert content_hash(getattr(one, name)) == content_hash(getattr(two, name))


def test_moments_are_those_of_numpy() -> None:
    table = stream_table(write(frame(2000)), **ROLES)
    data = split(table, seed=0)
    train = split(read_table(frame(2000), **ROLES).obs, seed=0).train
    raw, weight = np.asarray(train.x), np.asarray(train.weight)
    mean = np.average(raw, axis=0, weights=weight)
    std = np.sqrt(np.average((raw - mean) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(data.transform.x_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(data.transform.x_std, std, rtol=1e-12)


def test_several_files_are_one_table() -> None:
    whole = frame()
    paths = [write(whole[:200], "1.parquet"), write(whole[200:], "2.parquet")]
    assert content_hash(stream_table(paths, **ROLES).obs) == content_hash(
        read_table(whole, **ROLES).obs
    )


def test_dictionary_columns_are_categories() -> None:
    made = frame().assign(g=frame()["g"].astype("category"))
    table = stream_table(write(made), target="y")
    assert "g=v" in table.names
    assert content_hash(table.obs) == content_hash(read_table(made, "y").obs)


def test_spool_is_made_once_and_anew_when_the_file_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(frame())
    stream_table(path, **ROLES)
    spools = list(Path(".thetahat/spool").iterdir())
    assert len(spools) == 1
    before = spools[0].stat().st_mtime_ns
    made = []
    spool = _stream._spool
    monkeypatch.setattr(_stream, "_spool", lambda *a: (made.append(a), spool(*a)))
    stream_table(path, **ROLES, standardize=False)  # the split's business, not the spool's
    assert (made, spools[0].stat().st_mtime_ns) == ([], before)
    write(frame(400))
    assert len(stream_table(path, **ROLES)) == 400
    assert len(stream_table(path, target="y", features=["a"])) == 400
    assert len(made) == 2
    assert len(list(Path(".thetahat/spool").iterdir())) == 3


def test_float32_spool_halves_the_disk() -> None:
    path = write(frame())
    table = stream_table(path, **ROLES, dtype="float32", cache="cache")
    assert table.x.dtype == np.float32
    np.testing.assert_allclose(table.x, read_table(path, **ROLES).x, rtol=1e-6)
    batch = gather(split(table).train, np.arange(3))
    assert isinstance(batch, Observations)
    assert batch.x.dtype == np.float64
    assert type(batch.weight) is np.ndarray


def test_rows_are_read_like_an_array() -> None:
    x = np.arange(20.0).reshape(10, 2)
    rows = Rows(x, np.array([5, 3, 9, 0]), shift=np.array([1.0, 2.0]), scale=np.array([2.0, 4.0]))
    expected = (x[[5, 3, 9, 0]] - [1, 2]) / [2, 4]
    assert (rows.shape, rows.ndim, rows.dtype, len(rows)) == ((4, 2), 2, np.float64, 4)
    np.testing.assert_array_equal(np.asarray(rows), expected)
    np.testing.assert_array_equal(rows[1:3], expected[1:3])
    np.testing.assert_array_equal(rows[np.array([2, 2, 0])], expected[[2, 2, 0]])
    np.testing.assert_array_equal(rows[1], expected[1])
    np.testing.assert_array_equal(rows[expected[:, 0] > 2], expected[expected[:, 0] > 2])
    np.testing.assert_array_equal(np.asarray(rows.narrowed(np.array([3, 0]))), expected[[3, 0]])
    assert np.asarray(rows, np.float32).dtype == np.float32
    assert repr(rows) == "Rows(shape=(4, 2), dtype=float64)"
    with pytest.raises(ValueError, match="cannot be given without a copy"):
        np.array(rows, copy=False)


def test_memory_maps_and_rows_are_parts_of_data() -> None:
    path = write(frame())
    table = stream_table(path, **ROLES)
    data = split(table.obs, seed=1)
    assert isinstance(data.train.x, Rows)
    np.testing.assert_array_equal(data.train.y, split(np.asarray(table.y), seed=1).train)
    again = split(data.train, train=10, val=5, test=0, seed=2)
    np.testing.assert_array_equal(
        again.val.y, split(np.asarray(data.train.y), train=10, val=5, test=0, seed=2).val
    )
    assert isinstance(Data(train=table.obs).train.x, np.memmap)


def test_a_traced_seed_cannot_order_what_lies_on_disk() -> None:
    table = stream_table(write(frame()), **ROLES)
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.jit(lambda seed: split(table, seed=seed).transform.y_mean)(0)


def test_large_gathers_come_in_pieces() -> None:
    table = stream_table(write(frame(20_000)), target="y", features=["a", "b"])
    rows = Rows(table.y, np.arange(20_000))
    order = np.random.default_rng(0).permutation(20_000)
    np.testing.assert_array_equal(rows[order], np.asarray(table.y)[order])


MEMORY = """
import json, resource, sys
import numpy as np
from thetahat.data import Batches, _rows, _stream, read_table, split, stream_table

small, big, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
_stream._BLOCK_VALUES = _rows.BLOCK_VALUES = 1 << 17
_rows.RESIDENT_BYTES = 1 << 24
unit = 1 if sys.platform == "darwin" else 1024
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
# Everything that does not grow with the columns first: libraries, compilation, orders.
split(stream_table(small, "y"))
next(iter(Batches(split(np.zeros(n, np.int8)).train, 4096)))
before = peak()
table = stream_table(big, "y")
data = split(table)
total = sum(batch.x.sum() for batch in Batches(data.train, 4096))
print(json.dumps({"grown": peak() - before, "spool": table.x.nbytes, "total": float(total)}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module, no madvise")
def test_memory_stays_bounded() -> None:
    """One epoch over a spool of 144 MB grows the process by less than half of it."""
    n, columns = 1_500_000, 12
    rng = np.random.default_rng(0)
    for name, rows in (("small.parquet", 1000), ("big.parquet", n)):
        table = {f"x{i}": rng.integers(0, 50, rows).astype(float) for i in range(columns)}
        pq.write_table(pa.table({"y": np.arange(float(rows)), **table}), name)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, "small.parquet", "big.parquet", str(n)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    said = json.loads(done.stdout)
    assert said["spool"] == n * columns * 8
    assert said["grown"] < said["spool"] / 2
    assert abs(said["total"]) < 1e-3  # standardised columns sum to zero


def refused(text: str, kind: type[Exception] = DataError):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


class TestMessages:
    def test_arguments(self) -> None:
        path = write(frame())
        with refused("dtype='float16'; give 'float32' or 'float64'", ConfigError):
            stream_table(path, "y", dtype="float16")
        with refused("missing='median' needs the data in memory; stream with missing='mean'"):
            stream_table(path, "y", missing="median")
        with refused("no files to stream; give at least one Parquet file"):
            stream_table([], "y")
        Path("t.csv").write_text("y,x\n1,2\n")
        with refused("'t.csv' cannot be streamed; write it as Parquet"):
            stream_table("t.csv", "y")

    def test_columns_are_checked_in_the_words_of_read_table(self) -> None:
        path = write(frame(missing=True))
        with pytest.raises(DataError) as streamed:
            stream_table(path, **ROLES)
        with pytest.raises(DataError) as whole:
            read_table(path, **ROLES)
        assert str(streamed.value) == str(whole.value)
        assert str(whole.value).startswith("missing values: 'a' in ")
        assert not Path(".thetahat").exists()
        late = frame()
        late.loc[450, "a"] = np.inf
        said = "column 'a' has 1 infinite value, first in row 451 of the table, counted from 1;"
        with refused(f"{said} drop or fix those rows"):
            stream_table(write(late), **ROLES)

    def test_files_of_different_columns(self) -> None:
        paths = [write(frame(), "1.parquet"), write(frame().drop(columns="b"), "2.parquet")]
        with refused(
            "'2.parquet' has no column 'b', unlike '1.parquet'; give files with the same columns"
        ):
            stream_table(paths, **ROLES)

    def test_without_pyarrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(frame())
        monkeypatch.setattr(_readers, "_has", lambda name: False)
        with refused(
            "reading Parquet in parts needs an extra: pip install 'thetahat[tables]'", MissingExtra
        ):
            stream_table(path, "y")

    def test_disk_too_small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(frame())
        usage = type("usage", (), {"free": 10})
        monkeypatch.setattr(_stream.shutil, "disk_usage", lambda path: usage)
        folder = str(Path(".thetahat") / "spool")
        with refused(
            f"the spool needs 0.0 GB and {folder!r} has 0.0 GB; give cache= on a larger disk, "
            "or dtype='float32'"
        ):
            stream_table(path, **ROLES)

    def test_disk_full_while_spooling_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(frame())

        def full(*args: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(_stream, "_write", full)
        folder = str(Path(".thetahat") / "spool")
        with refused(f"writing the spool into {folder!r} failed: the disk is full", RunFailed):
            stream_table(path, **ROLES)
        assert list(Path(folder).iterdir()) == []

    def test_read_only_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(frame())

        def denied(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(_stream.tempfile, "mkdtemp", denied)
        with refused("the spool folder 'cache' cannot be written; give cache= in another place"):
            stream_table(path, **ROLES, cache="cache")

    def test_damaged_spool(self) -> None:
        path = write(frame())
        stream_table(path, **ROLES)
        spool = next(Path(".thetahat/spool").iterdir())
        (spool / "x.bin").write_bytes(b"short")
        with refused(f"the spool {str(spool)!r} is damaged; remove it and start again"):
            stream_table(path, **ROLES)


def test_a_spool_of_single_precision_refuses_a_column_that_it_would_round_away() -> None:
    far = frame(100).assign(a=lambda table: 1e9 + np.arange(100.0))
    path = write(far)
    with pytest.raises(DataError, match="^column 'a' goes from 1e\\+09 .* give dtype='float64'"):
        stream_table(path, **ROLES, dtype="float32")
    assert stream_table(path, **ROLES).x.dtype == np.float64
