"""Images of arrays and curves of classifiers: the numbers that the real package writes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from thetahat.core.errors import ConfigError
from thetahat.store import Store, list_files, list_tables, read_file, read_table

PIXELS = np.array([[100.0, 110.0], [120.0, 140.4]])


def drawn(client: Any, store: Store, *given: Any, **how: Any) -> np.ndarray:
    with client.init() as run:
        run.log({"image": client.Image(*given, **how)})
    (file,) = list_files(store, run.id)
    return np.asarray(Pillow.open(io.BytesIO(read_file(file))))


@pytest.mark.parametrize(
    ("given", "pixels"),
    [
        (PIXELS, [[100, 110], [120, 140]]),
        (PIXELS.astype(np.uint8), [[100, 110], [120, 140]]),
        (PIXELS[None], [[100, 110], [120, 140]]),
        (np.array([[0.0, 0.5], [np.nan, np.inf]]), [[0, 128], [0, 128]]),
        (np.array([[-1.0, 0.0], [0.5, 1.0]]), [[0, 128], [191, 255]]),
        (np.array([[-1, 1]]), [[0, 255]]),
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[0, 1]], np.uint8), [[0, 255]]),
        (np.array([[300, 7]]), [[255, 7]]),
        (np.full((1, 2, 3), 9.0), [[[9, 9, 9]] * 2]),
    ],
)
def test_pixels_of_arrays_are_those_of_wandb(client, store, given: Any, pixels: Any) -> None:
    assert drawn(client, store, given).tolist() == pixels


def test_pixels_may_stay_as_they_are_and_tensors_have_channels_first(client, store) -> None:
    assert drawn(client, store, np.array([[0.2, 1.0]]), normalize=False).tolist() == [[0, 1]]
    torch = pytest.importorskip("torch")
    color = torch.tensor([10.0, 20.0, 30.0]).reshape(3, 1, 1).expand(3, 1, 2)
    assert drawn(client, store, color).tolist() == [[[10, 20, 30]] * 2]


def test_images_of_other_kinds_and_modes(client, store) -> None:
    jpeg = drawn(client, store, np.full((8, 8, 4), 90), file_type="jpg")
    assert jpeg.shape == (8, 8, 3) and abs(jpeg.astype(int) - 90).max() <= 2
    gray = drawn(client, store, np.full((2, 2, 3), 90), mode="L")
    assert gray.tolist() == [[90, 90]] * 2
    first = client.Image(PIXELS, caption="first")
    assert (client.Image(first).caption, client.Image(first, caption="b").caption) == ("first", "b")
    with pytest.raises(ConfigError, match=r"has the shape \(2, 2, 5\)"):
        client.Image(np.zeros((2, 2, 5)))


def test_a_precision_curve_has_the_steps_that_are_asked_for(client, store: Store) -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])
    chart = client.plot.pr_curve(["no", "no", "yes", "yes"], scores, interp_size=3)
    with client.init() as run:
        run.log({"pr": chart})
    (table,) = list_tables(store, run.id)
    columns = {k: v.tolist() for k, v in read_table(store, run.id, table.name).items()}
    assert columns["class"] == ["no"] * 3 + ["yes"] * 3
    assert columns["recall"] == [1.0, 0.5, 0.0] * 2
    # Of "yes" the scores rank right, wrong, right: 2 of 3 are right when all are found.
    assert columns["precision"] == pytest.approx([2 / 3, 1, 1, 2 / 3, 1, 1])
