"""The catalogue of messages: a command line, its exit code, and what standard error then says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from programs import LOSS

from thetahat.store import open_store

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [1, 2, 3, 4]}
"""
FILES = {
    "t.csv": "y,a,b\n" + "".join(f"{3 * k % 7},{k % 5},{k % 3}\n" for k in range(200)),
    "train.py": LOSS,
    "sweep.yaml": GRID,
    "random.yaml": GRID.replace("grid", "random"),
    "seeds.yaml": GRID + "  seed: {values: [1, 2]}\n",
    "named.yaml": GRID + "name: last\n",
    "last.yaml": GRID,
    "twice.csv": "lr,lr\n1,2\n",
    "empty.csv": "lr\n",
    "wide.csv": "lr\n1,2\n",
    "other.csv": "lrr\n1\n",
    "-dash.csv": "y,a\n",
}
WHOLE = "give a whole number of at least"
LAST = (
    "'last' means the latest sweep, in agent, runs and report; give another name, such as"
    " --name=mine or a line 'name: mine' in the file"
)
CHANGES = "changes a sweep that exists, and"
CHOICES = "fit: --model: invalid choice: 'mpl' (choose from *mlp*, *linear*, *polynomial*); see"

CATALOGUE: list[tuple[str, int, str]] = [
    # -- commands and flags that do not exist
    ("rusn", 2, "there is no command 'rusn'; did you mean 'runs'?"),
    ("verify last", 2, "'verify' is not in this version (*); it has fit, predict, check, sweep, *, demo, lab, grade"),
    ("runs --sorte=x", 2, "runs has no option --sorte; did you mean --sort?"),
    ("runs --hlep", 2, "runs has no option --hlep; did you mean --help?"),
    ("runs --xyzzy", 2, "runs has no option --xyzzy; see thetahat runs --help"),
    ("fit t.csv --target=y --batch_sizes=3", 2, "fit has no option --batch_sizes; did you mean --batch-size?"),
    ("fit t.csv --target=y --drop=k", 2, "fit has no option --drop; did you mean --ignore?"),
    ("fit t.csv --target=y --n-layers=2", 2, "fit has no option --n-layers; did you mean --depth?"),
    ("fit t.csv --target=y --max-epochs=3", 2, "fit has no option --max-epochs; did you mean --epochs?"),
    ("check sweep.yaml --strct", 2, "check has no option --strct; did you mean --strict?"),
    ("demo --seeds 3", 2, "demo has no option --seeds; see thetahat demo --help"),
    ("show", 2, "show needs RUN; see thetahat show --help"),
    ("show a b", 2, "show: unexpected argument 'b'; see thetahat show --help"),
    ("check", 2, "check needs FILE; see thetahat check --help"),
    ("fit t.csv", 2, "fit needs --target; see thetahat fit --help"),
    ("fit -dash.csv", 2, "fit needs *; see thetahat fit --help; for the file '-dash.csv' write ./-dash.csv"),
    ("show x -dash.csv", 2, "show has no option -dash.csv; * write ./-dash.csv"),
    # -- numbers
    ("fit t.csv --target=y --width=3.5", 2, f"fit --width=3.5: {WHOLE} 1"),
    ("fit t.csv --target=y --patience 0", 2, f"fit --patience=0: {WHOLE} 1"),
    ("fit t.csv --target=y --lr=nan", 2, "fit --lr=nan: give a positive, finite number, such as 0.01"),
    ("fit t.csv --target=y --lr=inf", 2, "fit --lr=inf: give a positive, finite number, such as 0.01"),
    ("fit t.csv --target=y --lr=0", 2, "fit --lr=0: give a positive, finite number, such as 0.01"),
    ("fit t.csv --target=y --weight-decay=-1", 2, "fit --weight-decay=-1: give a finite number of at least 0, such as 0.01"),
    ("fit t.csv --target=y --tau=x", 2, "fit --tau=x: give a number, such as 0.01"),
    ("fit t.csv --target=y --train=x", 2, "fit --train=x: give a number, such as 0.01"),
    ("fit t.csv --target=y --seed=x", 2, "fit --seed=x: give a whole number from 0 to 2147483647"),
    ("check sweep.yaml --list 0", 2, f"check --list=0: {WHOLE} 1"),
    ("check sweep.yaml --seed -1", 2, "check --seed=-1: give a whole number from 0 to 2147483647"),
    ("check sweep.yaml --seed 2147483648", 2, "check --seed=2147483648: give a whole number from 0 to 2147483647"),
    ("runs --limit many", 2, f"runs --limit=many: {WHOLE} 1"),
    ("runs --quantiles 0.1,2", 2, "runs --quantiles=0.1,2: give numbers from 0 to 1, such as 0.1,0.9"),
    ("report last --min-cell 0", 2, f"report --min-cell=0: {WHOLE} 1"),
    ("report last --top x", 2, f"report --top=x: {WHOLE} 1"),
    ("ui --port 65536", 2, "ui --port=65536: give a whole number from 0 to 65535"),
    ("agent last --count 0", 2, f"agent --count=0: {WHOLE} 1"),
    ("agent last --workers x", 2, f"agent --workers=x: {WHOLE} 1"),
    ("sweep sweep.yaml --replicates 0", 2, f"sweep --replicates=0: {WHOLE} 1"),
    ("sweep sweep.yaml --count 0", 2, f"sweep --count=0: {WHOLE} 1"),
    ("sweep sweep.yaml --seed -1", 2, f"sweep --seed=-1: {WHOLE} 0"),
    ("sweep sweep.yaml --retries -1", 2, f"sweep --retries=-1: {WHOLE} 0"),
    ("sweep sweep.yaml --workers 0", 2, f"sweep --workers=0: {WHOLE} 1"),
    ("sweep sweep.yaml --timeout 0", 2, "sweep --timeout=0: give a positive, finite number, such as 0.01"),
    ("sweep sweep.yaml --timeout nan", 2, "sweep --timeout=nan: give a positive, finite number, such as 0.01"),
    # -- fit
    ("fit t.csv --target=y --batch-size=512", 2, "batch_size=512 is larger than the 140 training observations; give at most 140, or none for the full batch"),
    ("fit t.csv --target=wage", 2, "the table has no column 'wage' (target)*"),
    ("fit t.csv --target=y --optimizer=lbfgs --lr=0.1", 2, "lbfgs takes no lr: *; leave lr out"),
    ("fit t.csv --target=y --optimizer=adm", 2, "*'adm'*; did you mean 'adam'?"),
    ("fit t.csv --target=y --activation=rel", 2, "*'rel'*; did you mean 'relu'?"),
    ("fit t.csv --target=y --model=polynomial", 2, "--model polynomial takes one feature; got 2 (a, b); choose one with --features, or take --model mlp"),
    ("fit t.csv --target=y --predict=no/where.csv", 2, "--predict no/where.csv cannot be written; give a file in a folder that exists and is yours"),
    ("fit t.csv --target=y --predict=out.xlsx", 2, "--predict out.xlsx: fitted values are written as .csv, .tsv, .json or .parquet, and not as .xlsx; give another ending"),
    ("fit t.csv --target=y --train=0.9 --test=0.2", 2, "train=0.9 + val=0.15 + test=0.2 is 1.25 of the observations; fractions must sum to at most 1"),
    ("fit t.csv --target=y --val=0.001", 2, "empty split: val=0.001 of 200 observations gives 0 rows; give a larger share, or 0"),
    ("fit t.csv --target=y --model=mpl", 2, f"{CHOICES} thetahat fit --help"),
    ("fit t.csv --target=y --tau=0.3", 2, "--tau has no effect with --loss squared; leave it out, or give --loss pinball"),
    ("fit t.csv --target=y --degree=100", 2, "--degree has no effect with --model net; leave it out, or give --model polynomial"),
    ("fit t.csv --target=y --model=linear --width=4", 2, "--width has no effect with --model linear; leave it out, or give --model mlp"),
    ("fit t.csv --target=y --no-store --name=a", 2, "--name has no effect with --no-store, which keeps no run; leave one of them out"),
    ("fit t.csv --target=y --loss=pinball --tau=2", 2, "pinball(tau=2.0); give a tau between 0 and 1, such as tau=0.5"),
    ("fit t.csv --target=y --name=last", 2, "--name=last: 'last' means the latest run, in show, resume and report; give another name"),
    ("fit zzzz --target=y", 2, "no file 'zzzz'; check the path"),
    ("fit tt.csv --target=y", 2, "no file 'tt.csv'; did you mean 't.csv'?"),
    # -- sweeps
    ("check zzzz", 2, "there is no file zzzz; known: last.yaml, *, sweep.yaml"),
    ("check swep.yaml", 2, "there is no file swep.yaml; did you mean 'sweep.yaml'?"),
    ("sweep sweep.yaml --sampler tpee", 2, "--sampler=tpee: *; did you mean 'tpe'?"),
    ("sweep sweep.yaml --sampler tpe", 2, "--sampler=tpe chooses among the searches of method: bayes, and sweep.yaml asks for grid"),
    ("sweep sweep.yaml --asha", 2, "--asha needs the bands of an early_terminate section, which sweep.yaml has not; add early_terminate: {type: hyperband, min_iter: 3}"),
    ("sweep sweep.yaml --enqueue none.csv", 2, "--enqueue=none.csv cannot be read: No such file or directory"),
    ("sweep sweep.yaml --enqueue twice.csv", 2, "--enqueue=twice.csv: its first line must name each column once"),
    ("sweep sweep.yaml --enqueue empty.csv", 2, "--enqueue=empty.csv holds no points; give a line of parameter names, such as lr,width, and a line for each point"),
    ("sweep sweep.yaml --enqueue wide.csv", 2, "--enqueue=wide.csv, line 2: 2 values for 1 columns"),
    ("sweep sweep.yaml --enqueue other.csv", 2, "--enqueue: the sweep has no parameter 'lrr'; did you mean 'lr'?"),
    ("sweep sweep.yaml --pause --cancel", 2, "--pause and --cancel exclude each other; give one of them"),
    ("sweep sweep.yaml --resume --quiet --run", 2, f"--resume {CHANGES} --run is for creating or running one; leave out --run"),
    ("sweep sweep.yaml --extend sweep.yaml --retries 2", 2, f"--extend {CHANGES} --retries is for creating or running one; leave out --retries"),
    ("sweep sweep.yaml --pause --keep-going", 2, f"--pause {CHANGES} --keep-going is for creating or running one; leave out --keep-going"),
    ("sweep sweep.yaml --ui", 2, "--ui shows the page while a sweep runs; give --run too"),
    ("sweep random.yaml --shuffle", 2, "--shuffle: only a grid has an order to shuffle, and random.yaml asks for random"),
    ("sweep seeds.yaml --replicates 2", 2, "--replicates=2: the sweep searches over 'seed' itself; *"),
    ("sweep sweep.yaml --name=last", 2, f"--name=last: {LAST}"),
    ("sweep named.yaml", 2, f"named.yaml: name: last: {LAST}"),
    ("sweep last.yaml", 2, f"the file's name last.yaml: {LAST}"),
    ("agent last.yaml", 2, f"the file's name last.yaml: {LAST}"),
    # -- stores and runs
    ("show x", 2, "there is no store at *store.db; a run makes one, or give it with store= (--store)"),
    ("agent abc", 2, "there is no store at *"),
    ("runs --group-by lr --over seed", 2, "--group-by names the columns that tell groups apart, --over the parameters that do not; give one of the two"),
    ("runs --where lr", 2, "'lr' is *; write a column, one of = != < <= > >= ~ and a value, such as *"),
    ("runs", 0, "no store here yet (*); a run makes one, or give one with --store"),
]  # fmt: skip


@pytest.fixture
def inputs(folder: Path) -> set[Path]:
    """The files that the command lines name, in the current folder."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return set(folder.iterdir())


@pytest.mark.parametrize(("line", "code", "message"), CATALOGUE, ids=[row[0] for row in CATALOGUE])
def test_message(thetahat, inputs: set[Path], line: str, code: int, message: str) -> None:
    given, out, err = thetahat(*shlex.split(line))
    pattern = re.escape(message).replace(r"\*", ".*")
    assert re.fullmatch(f"(thetahat: )?{pattern}\n", err), err
    assert (given, out) == (code, "")
    left = {path.name for path in set(Path().absolute().iterdir()) - inputs}
    assert left <= {".thetahat"}
    if left:
        with open_store(create=False) as store:
            assert store.runs() == []
