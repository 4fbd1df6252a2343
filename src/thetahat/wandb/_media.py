"""Images, tables, histograms and other media: tables and files of the run in the store.

A table, and the bins of a histogram, are a table of the run; all others are files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.store._logged_things import record_file, record_table
from thetahat.wandb._run import Run, UsageError, warn
from thetahat.wandb._values import load

MANY = 32
"""An array of more values than this becomes a histogram, of as many bins, as in W&B."""
_BINS = 64


class Media:
    """Logged value other than a number, such as an image or a table."""

    _thetahat_media = True
    kind = "file"

    def keep(self, run: Run, name: str) -> dict[str, Any]:
        """Keep it as a part of a run; return what the summary says of it."""
        raise NotImplementedError


class _File(Media):
    """Media that are one file."""

    ending = ".bin"
    caption: str | None = None

    def content(self) -> Any:
        """Return bytes, a path, or an object that can be written as an image."""
        raise NotImplementedError

    def detail(self) -> dict[str, Any]:
        """Return what readers should know of it."""
        return {} if self.caption is None else {"caption": str(self.caption)}

    def keep(self, run: Run, name: str) -> dict[str, Any]:
        """Keep it as a file of a run, at the step of the row."""
        whole = name + self.ending
        if run._sink is not None:
            about = {"key": name, **self.detail()}
            record_file(
                run._sink, whole, self.content(), step=run._step, kind=self.kind, detail=about
            )
        return {"_type": f"{self.kind}-file", "path": whole, **self.detail()}


class Image(_File):
    """An image: a path, an array, a tensor, or an image or figure of another library."""

    kind = "image"

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Any = None,
        masks: Any = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        self.caption = caption
        given: Any = data_or_path
        if isinstance(given, Image):
            self.ending, self._given = given.ending, given._given
            self.caption = given.caption if caption is None else caption
            return
        if isinstance(given, (str, os.PathLike)):
            given = Path(given)
            self.ending = given.suffix or ".png"
        else:
            self.ending = f".{file_type or 'png'}"
        if boxes or masks:
            warn("Image(boxes=, masks=): thetahat keeps the image without them")
        if hasattr(given, "gcf") and hasattr(given, "savefig"):  # matplotlib.pyplot itself
            given = given.gcf()
        given = given.figure if _is_axes(given) else given
        if not isinstance(given, Path):
            given = self._written(given, mode, normalize)
        self._given = given

    def _written(self, given: Any, mode: str | None, normalize: bool) -> bytes:
        """Write it now: a figure may be drawn again before it is logged."""
        if hasattr(given, "shape"):
            return load("_pixels").encode(given, self.ending, mode, normalize)
        from thetahat.store._logged_file import given_file

        _, data = given_file(f"image{self.ending}", given)
        assert isinstance(data, bytes)
        return data

    def content(self) -> Any:
        return self._given

    @property
    def image(self) -> Any:
        """The image as Pillow has it."""
        from PIL import Image as Pillow  # pyright: ignore[reportMissingImports]

        given = self._given
        return Pillow.open(given if isinstance(given, Path) else io.BytesIO(given))


class Html(_File):
    """A page: a text, an open file, or the path of a file."""

    kind, ending = "html", ".html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        if hasattr(data, "read"):
            data = data.read()
        if not data_is_not_path and isinstance(data, (str, os.PathLike)) and _is_file(data):
            data = Path(data).read_text(encoding="utf-8")
        self.html = data.decode() if isinstance(data, bytes) else str(data)

    def content(self) -> Any:
        return self.html


class _Bytes(_File):
    """A file that is kept as it is: a path, bytes, or an open file."""

    arrays = "an array"

    def __init__(self, data_or_path: Any, caption: str | None = None, **more: Any) -> None:
        self.caption = caption
        if hasattr(data_or_path, "read"):
            data_or_path = data_or_path.read()
        if isinstance(data_or_path, (str, os.PathLike)):
            data_or_path = Path(data_or_path)
            self.ending = data_or_path.suffix or self.ending
        elif not isinstance(data_or_path, bytes):
            data_or_path = self._from_array(data_or_path, more)
        self._given = data_or_path

    def _from_array(self, data: Any, more: Mapping[str, Any]) -> bytes:
        raise UsageError(
            f"wandb.{type(self).__name__} of {self.arrays} is not answered by thetahat; write the"
            " file and give its path. THETAHAT_WANDB=real runs the program with the installed"
            " package"
        )

    def content(self) -> Any:
        return self._given


class Video(_Bytes):
    """A video: the path of a file."""

    kind, ending = "video", ".mp4"


class Object3D(_Bytes):
    """A three-dimensional object: the path of a file."""

    kind, ending = "object3D", ".json"


class Molecule(_Bytes):
    """A molecule: the path of a file."""

    kind, ending = "molecule", ".pdb"


class Audio(_Bytes):
    """A sound: the path of a file, or an array of samples in [-1, 1] with ``sample_rate``."""

    kind, ending = "audio", ".wav"

    def __init__(
        self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None
    ) -> None:
        super().__init__(data_or_path, caption, sample_rate=sample_rate)

    def _from_array(self, data: Any, more: Mapping[str, Any]) -> bytes:
        import wave

        import numpy as np

        samples = np.asarray(data, float)
        made = io.BytesIO()
        with wave.open(made, "wb") as file:
            file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
            file.setsampwidth(2)
            file.setframerate(int(more.get("sample_rate") or 44_100))
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        return made.getvalue()


class Plotly(_File):
    """A figure of plotly: its JSON."""

    kind, ending = "plotly", ".plotly.json"

    def __init__(self, val: Any) -> None:
        self._figure = val

    def content(self) -> Any:
        return self._figure.to_json()


class Table(Media):
    """A table: columns and rows, or a frame."""

    kind = "table"

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = None,
        **_: Any,
    ) -> None:
        given = dataframe if dataframe is not None else rows if data is None else data
        if hasattr(given, "columns") and hasattr(given, "iloc"):
            self.columns = [str(name) for name in given.columns]
            cells = [given.iloc[:, k].tolist() for k in range(len(self.columns))]
            self.data = [list(row) for row in zip(*cells, strict=True)]
            return
        given = given.tolist() if hasattr(given, "tolist") else given
        self.data: list[list[Any]] = [list(row) for row in given or ()]
        width = len(self.data[0]) if self.data else 0
        if columns is None:
            names = ["Input", "Output", "Expected"]
            columns = names if width in (0, len(names)) else range(width)
        self.columns: list[str] = [str(name) for name in columns]
        for row in self.data:
            self._check(row)

    def _check(self, row: Sequence[Any]) -> None:
        if len(row) != len(self.columns):
            raise ValueError(
                f"This table expects {len(self.columns)} columns: {self.columns}, found {len(row)}"
            )

    def add_data(self, *data: Any) -> None:
        """Add a row."""
        self._check(data)
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:
        """Add a row."""
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Add a column."""
        cells = data.tolist() if hasattr(data, "tolist") else list(data)
        if not self.columns or (self.data == [] and cells):
            self.data = [[] for _ in cells] if not self.columns else self.data
        if len(cells) != len(self.data):
            raise ValueError(f"Expected length {len(self.data)}, found {len(cells)}")
        self.columns.append(str(name))
        for row, cell in zip(self.data, cells, strict=True):
            row.append(cell)

    def add_computed_columns(self, fn: Any) -> None:
        """Add columns that a function computes of each row."""
        made = [fn(index, dict(zip(self.columns, row, strict=True))) for index, row in self]
        for name in made[0] if made else ():
            self.add_column(name, [one[name] for one in made])

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """Return a column, as a list or an array of NumPy."""
        at = self.columns.index(name)
        cells = [row[at] for row in self.data]
        if convert_to != "numpy":
            return cells
        import numpy as np

        return np.array(cells)

    def get_index(self) -> list[int]:
        """Return the numbers of the rows."""
        return list(range(len(self.data)))

    def get_dataframe(self) -> Any:
        """Return a frame of pandas."""
        import pandas as pd

        return pd.DataFrame(self.data, columns=self.columns)  # pyright: ignore[reportArgumentType]

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number and the cells of each row."""
        yield from enumerate(self.data)

    __iter__ = iterrows

    def __len__(self) -> int:
        return len(self.data)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __eq__(self, other: object) -> bool:
        mine = (self.columns, self.data)
        return isinstance(other, Table) and mine == (other.columns, other.data)

    def keep(self, run: Run, name: str) -> dict[str, Any]:
        """Keep it as a table of a run, at the step of the row."""
        names = distinct(self.columns, f"the table {name!r}")
        rows = [
            [
                cell.keep(run, f"{name}/{k}-{column}")["path"] if _is_media(cell) else cell
                for column, cell in zip(names, row, strict=True)
            ]
            for k, row in enumerate(self.data)
        ]
        columns = {c: [row[k] for row in rows] for k, c in enumerate(names)}
        return keep_table(run, name, columns, self.kind)


class JoinedTable(Table):
    """Two tables joined: not answered."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise UsageError(
            "wandb.JoinedTable is not answered by thetahat; join the frames and log one Table."
            " THETAHAT_WANDB=real runs the program with the installed package"
        )


class Histogram(Media):
    """Counts of values in bins of equal width."""

    kind = "histogram"
    MAX_LENGTH = 512

    def __init__(
        self, sequence: Any = None, np_histogram: Any = None, num_bins: int = _BINS
    ) -> None:
        if np_histogram is not None:
            counts, bins = np_histogram
        else:
            import numpy as np

            if hasattr(sequence, "detach"):
                sequence = sequence.detach().cpu().numpy()
            values = np.asarray(sequence, float).reshape(-1)
            counts, bins = np.histogram(values[np.isfinite(values)], bins=num_bins)
        self.histogram = [n.item() if hasattr(n, "item") else n for n in counts]
        self.bins = [b.item() if hasattr(b, "item") else b for b in bins]
        if len(self.bins) != len(self.histogram) + 1:
            raise ValueError("len(bins) must be len(histogram) + 1")

    def keep(self, run: Run, name: str) -> dict[str, Any]:
        """Keep its bins as a table of a run."""
        columns = {"left": self.bins[:-1], "right": self.bins[1:], "count": self.histogram}
        keep_table(run, name, columns, self.kind)
        return {"_type": "histogram", "bins": self.bins, "values": self.histogram}


class Classes:
    """Names of classes, for masks that are not kept."""

    def __init__(self, class_set: Any) -> None:
        self.class_set = class_set


class Graph:
    """The graph of a model: not kept."""


def box3d(*_: Any, **__: Any) -> Any:
    """Describe a box: not answered."""
    raise UsageError("wandb.box3d is not answered by thetahat; log the numbers as a Table")


def keep_table(
    run: Run, name: str, columns: Any, kind: str, detail: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Keep columns as a table of a run, at the step of the row."""
    if run._sink is not None:
        record_table(run._sink, name, columns, step=run._step, kind=kind, detail=detail)
    rows = len(next(iter(columns.values()), ()))
    return {"_type": "table-file", "path": name, "ncols": len(columns), "nrows": rows}


def distinct(columns: Sequence[str], table: str) -> list[str]:
    """Return names of columns of which no two are equal; say so if one is changed.

    >>> distinct(["x", "y"], "the table 't'")
    ['x', 'y']
    """
    names: list[str] = []
    for name in columns:
        new, k = name, 2
        while new in names or (new != name and new in columns):
            new, k = f"{name}_{k}", k + 1
        names.append(new)
    if names != list(columns):
        warn(f"{table} has two columns of one name; they are kept as {', '.join(names)}")
    return names


def keep_media(run: Run, name: str, value: Any) -> dict[str, Any] | None:
    """Keep a value that is an image, a table or the like; None if it is none of these."""
    if _is_media(value):
        return value.keep(run, name)
    if isinstance(value, (list, tuple)):
        if not value or not all(map(_is_media, value)):
            return None
        kept = [one.keep(run, f"{name}/{k}") for k, one in enumerate(value)]
        return {
            "_type": f"{value[0].kind}s",
            "count": len(kept),
            "paths": [k["path"] for k in kept],
        }
    found = _as_media(value)
    return None if found is None else found.keep(run, name)


def _as_media(value: Any) -> Media | None:
    """Return objects of other libraries as media: frames, figures, long arrays."""
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return Table(dataframe=value)
    if hasattr(value, "to_plotly_json"):
        return Plotly(value)
    if hasattr(value, "savefig") or _is_axes(value):
        return Image(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "__array__") and getattr(value, "size", 0) > MANY:
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return Histogram(value, num_bins=MANY) if kind in "fiub" else None
    return None


def _is_media(value: Any) -> bool:
    return getattr(value, "_thetahat_media", False) is True


def _is_axes(value: Any) -> bool:
    return hasattr(value, "get_figure") and hasattr(value, "figure")


def _is_file(text: str | os.PathLike[str]) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:
        return False
