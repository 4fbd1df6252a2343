"""``thetahat fit``: fit a table with no code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import (
    add_format,
    add_quiet,
    add_store,
    add_switch,
    add_value,
    comma_list,
    not_negative,
    number,
    positive,
    seed_number,
    whole_number,
)
from thetahat.core.choices import LOSSES, listed_names
from thetahat.core.errors import ConfigError, check_choice
from thetahat.core.shell import pasteable
from thetahat.core.table_net import (
    CLASS_RATE,
    DECAY,
    DEPTH,
    MEMBERS,
    RATE,
    net_activation,
    net_sizes,
)

if TYPE_CHECKING:
    from thetahat.cli._session import FitSettings
    from thetahat.data import Table
    from thetahat.train import Result

LEAST_BYTES = 4096
"""Least bytes of the config, the result and the parameters of one fit."""
MOST_SEEDS = 100_000
"""Fits of one command: more would be prepared for minutes before the first epoch."""
EXPERIMENT = "thetahat fit"
"""The experiment of these runs in the store."""
_MODELS = ("net", "mlp", "linear", "polynomial")
_MISSING = ("refuse", "drop", "mean", "median")
_RATE, _RATES = 0.01, {"lion": 0.001, "newton": 1.0, "tabular": RATE}
"""Default learning rates."""
_ONLY = {
    "width": ("model", ("mlp", "net")),
    "depth": ("model", ("mlp", "net")),
    "activation": ("model", ("mlp", "net")),
    "degree": ("model", ("polynomial",)),
    "basis": ("model", ("polynomial",)),
    "tau": ("loss", ("pinball",)),
}
"""Flags that need one of some choices of another flag."""
DESCRIPTION = "Fit a column of a table from the others, and keep the run."
EXAMPLES = """\
examples:
  thetahat fit wages.csv --target wage --features educ,exper,tenure
  thetahat fit wages.csv --target wage --categorical region --missing drop --patience 50
  thetahat fit wages.csv --target wage --width 32 --seeds 20 --predict fitted.csv
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``fit``."""
    parser.usage = "thetahat fit TABLE --target COLUMN [options]"
    parser.add_argument("table", metavar="TABLE", help="a CSV, Parquet, Stata or Excel file")
    _add_columns(parser.add_argument_group("columns"))
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    _add_parts(parser.add_argument_group("parts and seeds"))
    out = parser.add_argument_group("output")
    add_value(
        out,
        "--predict FILE",
        "write every row's number, target, fitted value and part, as .csv, .tsv, .json or"
        " .parquet; replaces a file of this kind only",
    )
    add_value(out, "--save FILE", "write the fitted model, for thetahat predict and th.load")
    add_value(out, "--name NAME", "a name for the run")
    add_switch(out, "--no-store", "keep nothing")
    add_quiet(out)
    add_store(parser)
    add_format(parser)


def _add_columns(group: Any) -> None:
    target = "the column to estimate; of several, A,B,..., the fit is one"
    group.add_argument("--target", required=True, metavar="COLUMN", help=target)
    group.add_argument(
        "--target-kind",
        choices=("number", "class"),
        help="what the target is (default: text, true/false and up to 5 whole numbers are classes)",
    )
    add_value(group, "--features A,B,...", "from these (default: all other columns)", comma_list)
    add_value(group, "--ignore A,B,...", "columns that are no features, such as ids", comma_list)
    add_value(group, "--weights COLUMN", "weights of the observations")
    add_value(group, "--categorical A,B,...", "one 0/1 column a level", comma_list)
    group.add_argument(
        "--missing",
        choices=_MISSING,
        default="refuse",
        help="missing values: refuse them, drop their rows, or impute the mean or median of the"
        " training part (default: refuse)",
    )
    add_value(
        group, "--na-values A,B,...", "more marks of a missing value, as in .,-99", comma_list
    )
    add_value(
        group, "--not-missing A,B,...", "words that are labels and not missing, as None", comma_list
    )
    add_value(group, "--thousands CHAR", "mark between thousands, such as ,")
    add_value(group, "--decimal CHAR", "decimal mark (default: .)")


def _add_model(group: Any) -> None:
    group.add_argument(
        "--model",
        choices=_MODELS,
        help="net: made for small tables, with its own optimizer (the default); mlp: a plain one"
        " (the default with --optimizer or --activation)",
    )
    add_value(
        group,
        "--members N",
        f"average N fits that hold out different rows (default: {MEMBERS} nets; else, or with"
        " --seeds, 1)",
        whole_number(),
    )
    add_value(group, "--width N", "units of a layer of net or mlp (default: 64)", whole_number())
    add_value(group, "--depth N", "hidden layers (default: net 3, mlp 2)", whole_number(1, 100))
    add_value(group, "--activation NAME", "of net or mlp (default: mish, for classes selu; relu)")
    add_value(group, "--degree N", "of the polynomial (default: 3)", whole_number())
    add_value(
        group,
        "--basis NAME",
        "of the polynomial: monomial, chebyshev or legendre (default: monomial)",
    )


def _add_training(group: Any) -> None:
    add_value(group, "--optimizer NAME", "default: adam; of net its own, tabular")
    add_value(
        group,
        "--lr X",
        "learning rate (default: 0.01; lion 0.001, newton 1, tabular 0.07, of classes 0.04)",
        positive,
    )
    add_value(
        group,
        "--weight-decay X",
        "adamw, lion, tabular: their decoupled decay (default: 0.0001, 0.001, 0.02); others: a"
        " ridge penalty on all but biases (default: 0, none)",
        not_negative,
    )
    add_value(group, "--loss NAME", listed_names(LOSSES))
    add_value(group, "--tau X", "quantile of --loss pinball (default: 0.5)", number)
    add_value(
        group,
        "--epochs N",
        "at most (default: 500; of net 256, fewer on long tables)",
        whole_number(),
    )
    add_value(
        group, "--batch-size N", "observations a step (default: all; of net 256)", whole_number()
    )
    add_value(
        group,
        "--patience N",
        "stop when the validation risk has not improved for N epochs (default: never; of net a"
        " quarter of its epochs)",
        whole_number(),
    )
    group.add_argument("--dtype", choices=("float32", "float64"), default="float32")


def _add_parts(group: Any) -> None:
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        add_value(group, f"--{part} X", f"share, or count (default: {share})", _share, share)
    add_value(group, "--split-seed N", "which rows go where (default: 0)", seed_number, 0)
    add_value(group, "--groups COLUMN", "no group in two parts; no feature unless listed")
    add_value(
        group,
        "--order COLUMN",
        "train on the earliest, test on the latest; no feature unless listed",
    )
    add_value(group, "--stratify COLUMN", "the same shares of its levels in every part")
    add_value(group, "--seed N", "initial parameters, batch order (default: 0)", seed_number, 0)
    add_value(
        group,
        "--seeds K",
        "K seeds from --seed on, as one program: median and quantiles over those that end well",
        whole_number(),
        1,
    )


def run(args: argparse.Namespace) -> int:
    """Fit a table."""
    from thetahat.cli._errors import print_note
    from thetahat.cli._script import check_batch
    from thetahat.cli._session import FitSettings, RunSource, exit_code, train
    from thetahat.cli.commands import _fit_table as fits
    from thetahat.cli.commands._fit_classes import refuse_many, settle
    from thetahat.cli.commands._fit_predictions import writable
    from thetahat.cli.commands._fit_report import report
    from thetahat.cli.terminal._fit_progress import SlowNotice
    from thetahat.train import Results, check_place

    if args.loss is not None:
        check_choice("--loss", args.loss, LOSSES)
    note, guess = settle(args)
    if note is not None and not args.quiet:
        print_note(note)
    config = _config(args)
    with SlowNotice(f"{args.table}: the table is being read"):
        table = fits.read(config)
    if guess:
        refuse_many(table)
    _check_targets(config, table)
    config |= _sizes(args, len(table), config)
    out = None
    if args.predict is not None:
        shown = (*(table.encoder.targets or (table.target,)), config["weights"])
        out = writable(Path(args.predict), Path(args.table), shown, table.classes or ())
    if args.save is not None:
        check_place(Path(args.save))
    setting = FitSettings(args.store, not args.no_store, not args.no_store, args.name, args.quiet)
    _check_seeds(args.seed, args.seeds, config["members"])
    experiment = fits.fit_table if args.batch_size is None else check_batch(fits.fit_table)
    members = config["members"]
    configs = [{**config, "seed": args.seed + k} for k in range(args.seeds)]
    if members > 1:
        configs = [{**config, "member": k} for k in range(members)]
    origin = RunSource(EXPERIMENT, Path(args.table))
    how: Any = {} if members == 1 else {"mode": "vmap", "bagged": True}
    trained = train(experiment, configs, setting, origin, label=Path(args.table).name, **how)
    results = trained.results if trained.bag is None else [trained.bag]
    what = "seed" if members == 1 else "member"
    untold = [f"{what} {config[what]}" for config in configs] + ["the average"]
    names = [name or word for name, word in zip(trained.names, untold, strict=False)]
    report(results, names, table, setting, args.format)
    if out is not None:
        _predict(out, results, table, setting)
    if args.save is not None:
        (Results(results) if args.seeds > 1 else results[0]).save(args.save)
        if not args.quiet:
            fix = pasteable(["thetahat", "predict", args.save])
            print_note(f"the model is in {args.save}; predict with: {fix} TABLE -o FILE")
    return exit_code(trained.results)


def _check_targets(config: dict[str, Any], table: Table) -> None:
    """Check that the loss of several targets is one in their units: their MSE is reported."""
    from thetahat.cli.commands._fit_classes import CLASS_LOSSES
    from thetahat.cli.commands._fit_table import in_units

    loss = config["loss"]
    if table.encoder.targets and loss not in CLASS_LOSSES and not in_units(loss):
        raise ConfigError(
            f"--target {config['target']}: of several targets the MSE is reported, which --loss"
            f" {loss} has not; give one target, or a loss of a residual, such as squared"
        )


def _sizes(args: argparse.Namespace, n: int, config: dict[str, Any]) -> dict[str, Any]:
    """Give the sizes of a net for n rows, where the flags do not."""
    from thetahat.cli.commands._fit_classes import CLASS_LOSSES

    if config["model"] != "net":
        return {}
    train = max(1, args.train if isinstance(args.train, int) else int(args.train * n))
    sizes = net_sizes(train, batch_size=args.batch_size, epochs=args.epochs)
    activation = net_activation(config["loss"] in CLASS_LOSSES)
    found = {"batch_size": sizes.batch_size, "depth": DEPTH, "activation": activation}
    if args.optimizer is None:
        found["epochs"] = sizes.epochs
        if args.val != 0:
            found["patience"] = sizes.patience
    return {name: value for name, value in found.items() if getattr(args, name) is None}


def _check_seeds(first: int, seeds: int, members: int) -> None:
    """Check that so many seeds exist, and that the memory can hold so many fits."""
    from thetahat.train import MOST_MEMBERS, total_memory

    if members > MOST_MEMBERS:
        raise ConfigError(
            f"--members={members}: an average has at most {MOST_MEMBERS:,} members; give fewer"
        )

    if first + seeds > 2**31:
        raise ConfigError(
            f"--seeds={seeds}: seeds go to 2**31 - 1, and there are {2**31 - first} from"
            f" --seed={first} on; give fewer"
        )
    room = total_memory()
    if seeds * LEAST_BYTES > room:
        raise ConfigError(
            f"--seeds={seeds}: the results of so many fits cannot be held in memory, which is"
            f" {room / 1e9:.3g} GB; give fewer, {int(room / LEAST_BYTES):,} at the very most"
        )
    if seeds > MOST_SEEDS:
        raise ConfigError(
            f"--seeds={seeds}: one command fits at most {MOST_SEEDS:,} seeds; give fewer, or run"
            " several commands, each with its own --seed"
        )


def _predict(path: Path, results: Sequence[Result], table: Table, setting: FitSettings) -> None:
    """Write the fitted values: of several seeds, over those that ended well."""
    from thetahat.cli._errors import print_note
    from thetahat.cli.commands._fit_predictions import predictions, write
    from thetahat.cli.commands._fit_report import ended_well, has

    key = "val" if has(results[0], "val") else "train"
    kept = ended_well(results) if len(results) > 1 else results
    kept = [r for r in kept if r.risk[key] == r.risk[key]]
    if not kept:
        print_note(f"{path} was not written: no fit has a finite risk")
        return
    made = predictions(str(kept[0].config["table"]), table, kept)
    write(path, made)
    if setting.quiet:
        return
    of = "" if kept[0].classes is None else ", labels and probabilities,"
    if len(results) > 1:
        mean = "the median, with 10 and 90 % quantiles," if not of else "by mean probability,"
        of += f" over {len(kept)} seeds, {mean}"
    print_note(f"fitted values{of} of {made.rows:,} rows are in {path}{made.lost}")


def _config(args: argparse.Namespace) -> dict[str, Any]:
    """Read the experiment's parameters; refuse flags without effect.

    Raises:  ConfigError: such a flag, or an unknown optimizer.
    """
    from thetahat.cli.commands._fit_classes import CLASS_LOSSES
    from thetahat.cli.commands._fit_table import fit_table
    from thetahat.core.signature import read_signature
    from thetahat.optim import named, own_decay

    plain = args.optimizer is not None or args.activation is not None
    args.model = args.model or ("mlp" if plain else "net")
    _check_effect(args)
    optimizer = args.optimizer or ("tabular" if args.model == "net" else "adam")
    if optimizer != "tabular" or args.model != "net":
        named(optimizer, args.lr)
    signature = read_signature(fit_table)
    given = {name: getattr(args, name, None) for name in signature.parameters}
    net = optimizer == "tabular"
    ruled = args.groups is not None or args.order is not None
    bagged = args.model == "net" and args.seeds == 1 and args.val != 0 and not ruled
    resolved = {
        "optimizer": optimizer,
        "lr": CLASS_RATE if net and args.loss in CLASS_LOSSES else _RATES.get(optimizer, _RATE),
        "weight_decay": DECAY if net else own_decay(optimizer) or 0.0,
        "members": MEMBERS if bagged else 1,
    }
    config = {name: resolved.get(name) if value is None else value for name, value in given.items()}
    # None stands for the experiment's own default.
    return signature.config({name: v for name, v in config.items() if v is not None})


def _check_effect(args: argparse.Namespace) -> None:
    for flag, (chooser, choices) in _ONLY.items():
        chosen = getattr(args, chooser)
        if getattr(args, flag) is not None and chosen not in choices:
            raise ConfigError(
                f"--{flag} has no effect with --{chooser} {chosen}; leave it out, or give"
                f" --{chooser} {choices[0]}"
            )
    if (args.members or 1) > 1 and args.seeds > 1:
        raise ConfigError(
            f"--members {args.members} averages fits and --seeds {args.seeds} shows how single fits"
            " spread; give one of them"
        )
    for flag in ("groups", "order"):
        if (args.members or 1) > 1 and getattr(args, flag) is not None:
            raise ConfigError(
                f"--members {args.members} holds out rows without regard to --{flag}; leave one of"
                " them out"
            )
    for flag in ("name", "store"):
        if args.no_store and getattr(args, flag) is not None:
            raise ConfigError(
                f"--{flag} has no effect with --no-store, which keeps no run; leave one of them out"
            )


def _share(text: str) -> float | int:
    """Read a share, or a count of rows."""
    return int(text) if text.isdecimal() and text != "1" else number(text)
