"""Arrays that a program gives to ``wandb.Image``, as files of images."""

from __future__ import annotations

import io
from typing import Any

from thetahat.core.errors import MissingExtra
from thetahat.store._logged_file import png

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""What Pillow calls images by their number of channels."""


def encode(given: Any, ending: str, mode: str | None = None, normalize: bool = True) -> bytes:
    """Write an array or a tensor as an image; PNG needs no other package, others need Pillow.

    Args:    ending: of the file, such as ``.png``.   mode: Pillow's name of its colours, such as
             ``"L"``.   normalize: see ``pixels_of``.
    Raises:  ConfigError: an array of another shape than (rows, columns[, 1, 3 or 4]).
             MissingExtra: a JPEG, or another mode, without Pillow.
    """
    pixels = pixels_of(given, normalize=normalize)
    own = _MODES.get(pixels.shape[2] if pixels.ndim == 3 else 1)
    made = png(f"image{ending}", pixels)
    if ending == ".png" and mode in (None, own):
        return made
    colors = mode or own
    try:
        from PIL import Image as Pillow  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra(f"wandb.Image of an array as {ending} ({colors})", "report") from error
    if ending in (".jpg", ".jpeg") and colors == "RGBA":  # JPEG has no transparency
        colors = "RGB"
    buffer = io.BytesIO()
    kind = {"jpg": "jpeg"}.get(ending[1:], ending[1:])
    Pillow.open(io.BytesIO(made)).convert(colors).save(buffer, format=kind)
    return buffer.getvalue()


def pixels_of(given: Any, normalize: bool = True) -> Any:
    """Return an array or a tensor of channels first as uint8 (rows, columns[, channels]).

    Values are 0 to 255. If none is above 1 they are parts of 255; if one is below 0 all are
    stretched to 0 to 255, as wandb does up to 0.19. NaN is 0.

    Args:    normalize: False leaves all values as they are, and cuts those that are outside.
    """
    import numpy as np

    tensor = hasattr(given, "permute") and hasattr(given, "detach")
    array = np.asarray(given.detach().cpu().numpy() if tensor else given)
    array = _channels_last(array) if tensor else array
    if array.ndim > 3 or (array.ndim == 3 and array.shape[2] not in _MODES):
        array = array.squeeze()  # (1, rows, columns)
    if array.dtype.kind not in "buif" or not array.size:
        return array
    if array.dtype.kind == "f":
        array = _finite(array.astype(np.float64))
    if normalize and (low := array.min()) < 0:
        array = (array - float(low)) / (float(array.max()) - float(low) or 1.0)
    if normalize and array.max() <= 1:
        array = np.rint(array * 255.0)
    return np.clip(array, 0, 255).astype(np.uint8)


def _finite(array: Any) -> Any:
    """Return an array whose infinite values are its least and greatest finite ones, NaN is 0."""
    import numpy as np

    known = array[np.isfinite(array)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    return np.nan_to_num(array, nan=0.0, posinf=high, neginf=low)


def _channels_last(array: Any) -> Any:
    if array.ndim == 4:  # images one under the other
        array = array.transpose(1, 0, 2, 3).reshape(array.shape[1], -1, array.shape[3])
    return array.transpose(1, 2, 0) if array.ndim == 3 else array
