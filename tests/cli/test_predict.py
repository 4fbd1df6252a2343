"""``thetahat predict`` and ``thetahat fit --save``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thetahat as th

N = 60
FIT = [
    *("fit", "t.csv", "--target=y", "--features=a,c", "--categorical=c", "--dtype=float64"),
    *("--model=linear", "--epochs=10"),
]
SCRIPT = """\
import equinox as eqx, jax, numpy as np, thetahat as th


def line(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
    x = np.linspace(-1, 1, 20)[:, None]
    model = eqx.nn.Linear(1, "scalar", key=jax.random.key(seed))
    return th.Task(model, th.Data((x, x[:, 0])), optimizer=th.optim.named("sgd", lr), epochs=2)
"""


@pytest.fixture
def table(folder: Path) -> Path:
    """A table, and one with new rows in another order of columns, without a target."""
    rng = np.random.default_rng(0)
    write("t.csv", ["y", "a", "c"], [[a + k % 2, a, "uv"[k % 2]] for k, a in enumerate(draws(rng))])
    write("new.csv", ["c", "z", "a"], [["v", 0, 1.5], ["w", 0, 2], ["u", 0, ""], ["u", 0, -1]])
    return folder / "t.csv"


def draws(rng: np.random.Generator) -> list[float]:
    return rng.normal(5, 2, N).tolist()


def write(name: str, header: list[str], rows: list[list[Any]]) -> None:
    with open(name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def read(name: str) -> list[dict[str, float | None]]:
    if name.endswith(".json"):
        return json.loads(Path(name).read_text(encoding="utf-8"))
    with open(name, newline="", encoding="utf-8") as file:
        return [
            {k: float(v) if v else None for k, v in row.items()} for row in csv.DictReader(file)
        ]


def test_a_saved_fit_and_its_run_predict_every_row_in_order(table, thetahat) -> None:
    assert thetahat(*FIT, "--save=m.theta", "--predict=fitted.csv")[0] == 0
    code, _, err = thetahat("predict", "m.theta", "new.csv", "-o", "p.csv")
    assert code == 0
    why = "1 lacks a feature, 1 has a 'c' that the fit has not seen ('w')"
    assert f"predictions of 4 rows are in p.csv; 2 of them have none: {why}" in err
    rows = read("p.csv")
    assert [row["row"] for row in rows] == [1, 2, 3, 4]
    model = th.load("m.theta")
    expected = model.predict({"a": [1.5, -1], "c": ["v", "u"]}).tolist()
    assert [row["predicted"] for row in rows] == [expected[0], None, None, expected[1]]
    # The same numbers as fit --predict, from the file and from the run's checkpoint.
    assert thetahat("predict", "m.theta", "t.csv", "-o", "p.json")[0] == 0
    assert thetahat("predict", "last", "t.csv", "-o", "p.csv", "--quiet")[0] == 0
    fitted = []
    with open("fitted.csv", newline="", encoding="utf-8") as file:
        fitted = [float(row["fitted"]) for row in csv.DictReader(file)]
    assert [row["predicted"] for row in read("p.json")] == fitted
    assert [row["predicted"] for row in read("p.csv")] == fitted


def test_several_seeds_give_their_median_and_quantiles(table, thetahat) -> None:
    assert thetahat(*FIT, "--seeds=4", "--no-store", "--save=m.theta")[0] == 0
    code, _, err = thetahat("predict", "m.theta", "t.csv", "-o", "p.csv", "--quantiles=0,0.25,1")
    assert code == 0 and "the median of 4 members" in err
    rows = read("p.csv")
    a = [float(row["a"]) for row in csv.DictReader(Path("t.csv").read_text().splitlines())]
    each = th.load("m.theta").predict({"a": a, "c": ["uv"[k % 2] for k in range(N)]})
    assert list(rows[0]) == ["row", "predicted", "q0", "q25", "q100"]
    for name, q in (("predicted", 0.5), ("q0", 0), ("q25", 0.25), ("q100", 1)):
        assert np.array_equal([row[name] for row in rows], np.quantile(each, q, axis=0)), name


def test_classes_give_a_label_and_probabilities(table, thetahat) -> None:
    fit = ["fit", "t.csv", "--target=c", "--features=a", "--model=linear", "--epochs=5"]
    assert thetahat(*fit, "--seeds=2", "--no-store", "--save=m.theta")[0] == 0
    assert thetahat("predict", "m.theta", "t.csv", "-o", "p.json")[0] == 0
    rows, model = read("p.json"), th.load("m.theta")
    a = [float(row["a"]) for row in csv.DictReader(Path("t.csv").read_text().splitlines())]
    proba = model.predict_proba({"a": a}).mean(axis=0)
    assert list(rows[0]) == ["row", "predicted", "prob_u", "prob_v"]
    assert np.array_equal([[row["prob_u"], row["prob_v"]] for row in rows], proba)
    assert [row["predicted"] for row in rows] == ["uv"[k] for k in proba.argmax(axis=1)]
    # Such a file is replaced, and is a prediction of a run's own model.
    code, _, err = thetahat("predict", "m.theta", "t.csv", "-o", "p.json", "--quantiles=0.5")
    assert code == 2 and "predicts labels" in err
    assert thetahat("predict", "m.theta", "t.csv", "-o", "p.json")[0] == 0


def test_a_model_that_a_run_kept_is_found_by_the_run(folder, thetahat) -> None:
    from thetahat.store import open_store

    (folder / "own.py").write_text(f"{SCRIPT}\n\nif __name__ == '__main__':\n    th.main(line)\n")
    namespace: dict[str, Any] = {"__name__": "own"}
    exec(SCRIPT, namespace)
    result = th.fit(namespace["line"], seed=2)
    with open_store() as store:
        run = store.create_run(dict(result.config), experiment="line", source="own.py")
        store.finish_run(run.id, status=th.Status.FINISHED, epochs=2)
        path = store.model_path(run.id)
    path.parent.mkdir()
    result.save(path)
    write("x.csv", ["x"], [[0.5], [1]])
    assert thetahat("predict", run.name, "x.csv", "-o", "p.csv", "--source=own.py")[0] == 0
    assert [row["predicted"] for row in read("p.csv")] == result.predict([[0.5], [1]]).tolist()


def test_a_model_of_ones_own_class_needs_its_experiment(folder, thetahat) -> None:
    (folder / "own.py").write_text(SCRIPT)
    namespace: dict[str, Any] = {}
    exec(SCRIPT, namespace)
    result = th.fit(namespace["line"], seed=2)
    result.save("own.theta")
    write("x.csv", ["x"], [[0.5], [1]])
    code, _, err = thetahat("predict", "own.theta", "x.csv", "-o", "p.csv")
    assert code == 2 and "a model of your own" in err
    words = ("predict", "own.theta", "x.csv", "-o", "p.csv", "--source=own.py:line")
    assert thetahat(*words)[0] == 0
    assert [row["predicted"] for row in read("p.csv")] == result.predict([[0.5], [1]]).tolist()
    write("x.csv", ["x", "z"], [[0.5, 1]])
    code, _, err = thetahat(*words)
    assert code == 2 and "takes 1 inputs without names; 'x.csv' has 2 columns (x, z)" in err


def test_wrong_words_get_one_message(table, thetahat) -> None:
    assert thetahat(*FIT, "--save=m.theta", "--no-store")[0] == 0
    Path("notes.txt").write_text("mine")
    new = ("new.csv", "-o", "p.csv")
    for words, message in (
        (("none.theta", *new), "there is no file none.theta"),
        (("no-such-run", *new), "is not a file here, and not a run"),
        (("t.csv", *new), "not a model that thetahat can load"),
        (("m.theta", "none.csv", "-o", "p.csv"), "no file 'none.csv'"),
        (("m.theta", "new.csv", "-o", "notes.txt"), "thetahat did not write it"),
        (("m.theta", "new.csv", "-o", "new.csv"), "is the table itself"),
        (("m.theta", *new, "--quantiles=0.5"), "is one model"),
        (("m.theta", *new, "--quantiles=5"), "give probabilities from 0 to 1"),
        (("m.theta", *new, "--source=x.py"), "give a Python file that exists"),
        (("m.theta", "new.csv"), "-o"),
    ):
        code, out, err = thetahat("predict", *words)
        assert code == 2 and message in err and "Traceback" not in err and not out, (words, err)
    write("other.csv", ["b", "c"], [[1, "u"]])
    code, _, err = thetahat("predict", "m.theta", "other.csv", "-o", "p.csv")
    assert code == 2 and "has no column 'a' (feature)" in err


def test_fit_refuses_a_foreign_file_before_it_runs(table, thetahat) -> None:
    code, out, err = thetahat(*FIT, "--save=t.csv")
    assert code == 2 and "is not a saved model" in err and not out


def test_a_run_that_kept_nothing_says_so(kept, thetahat) -> None:
    write("x.csv", ["x"], [[1]])
    code, _, err = thetahat("predict", kept, "x.csv", "-o", "p.csv")
    assert code == 2 and "kept no model" in err and "--save FILE" in err
