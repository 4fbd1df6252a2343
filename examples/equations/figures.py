"""Draw the functional equations: each solved from five seeds, beside what is known.

The left panel shows the solutions, the right one the quantiles of their Euler errors off the points
at which they were solved; the dotted line there is the bound of acceptance, 1e-3.

    python examples/equations/figures.py            # all of them, into the current folder
    python examples/equations/figures.py growth     # one
"""

import importlib
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import thetahat as th

sys.path.insert(0, str(Path(__file__).parent))

DRAWN = {  # table, its columns along both axes, and the labels of these
    "asset_prices": ("prices", "date", "price", "date", "price"),
    "growth": ("path", "date", "k", "date", "capital"),
    "growth_two_states": ("path", "date", "k", "date", "capital"),
    "growth_stochastic": ("paths", "k", "next k", "log capital", "log capital, next period"),
    "cake_eating": ("shares", "wealth", "share", "wealth", "share eaten"),
    "income_fluctuation": ("policy", "cash", "c", "cash on hand", "consumption"),
    "investment": ("policy", "mean", "u", "mean capital of firms", "investment"),
    "optimal_stopping": ("values", "x", "waiting", "state", "value"),
}
VARIED = {
    "growth": [{"recursive": True}, {"recursive": False}],
    "growth_two_states": [{"k0": k0} for k0 in (0.5, 1.0, 3.0, 4.0)],
}


def figure(name, seeds=5, **config):
    """Solve one equation from several seeds and draw it."""
    module = importlib.import_module(name)
    varied = [{**one, **config, "seed": s} for one in VARIED.get(name, [{}]) for s in range(seeds)]
    fits = th.fit_many(getattr(module, name), varied)
    made = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = made.subplots(1, 2)
    table, x, y, along, up = DRAWN[name]
    for fit in fits:
        columns = fit.tables[table]
        columns = {n: column[np.argsort(columns[x])] for n, column in columns.items()}
        left.plot(columns[x], columns[y], color=color(fit), lw=1, alpha=0.8)
    if "exact" in columns:
        every = len(columns[x]) // 14
        left.plot(columns[x][::every], columns["exact"][::every], "k.", ms=5, label="closed form")
    left.set(xlabel=along, ylabel=up)
    beside(name, left, module, fits)
    if left.get_legend_handles_labels()[0]:
        left.legend(frameon=False)
    for fit in fits:
        quantiles, errors = (fit.tables["errors"][n] for n in ("quantile", "error"))
        shares = [f"{100 * q:g} %" for q in quantiles]
        right.semilogy(shares, errors, "o-", color=color(fit), ms=3, lw=0.8, alpha=0.8)
    right.axhline(1e-3, color="k", ls=":", lw=1)
    accepted = sum(bool(fit.accepted) for fit in fits)
    right.set(xlabel="quantile", ylabel="Euler error", title=f"{accepted} of {len(fits)} accepted")
    return made


def color(fit):
    """Color solutions by their form, or by the steady state that they reach."""
    second = fit.solution == "high" or (fit.config.get("recursive") is False and "k0" in fit.config)
    return "C1" if second else "C0"


def beside(name, axes, module, fits):
    """Draw what is known beside the solutions: steady states, limits, the threshold."""
    if name == "asset_prices":
        axes.set(xlim=(0, 50))
    if name == "growth":
        axes.axhline(1.984045, color="k", ls=":", lw=1, label="steady state")
    if name == "growth_two_states":
        for solution, k in module.steady_states(0.9).items():
            axes.axhline(k, color="k", ls=":", lw=1)
            axes.annotate(solution, (59, k), va="bottom", ha="right")
    if name == "cake_eating":
        axes.set(ylim=(0, 0.06), xscale="log")
    if name == "income_fluctuation":
        axes.plot([0, 1.8], [0, 1.8], "k:", lw=1, label="limit: c = x")
        axes.set(xlim=(0, 6), ylim=(0, None))
    if name == "optimal_stopping":
        values = fits[0].tables["values"]
        axes.plot(values["x"], np.maximum(values["stopping"], 0), "k:", lw=1, label="stopping")
        axes.axvline(fits[0].tables["threshold"]["threshold"][0], color="C1", lw=1)


if __name__ == "__main__":
    for name in sys.argv[1:] or DRAWN:
        figure(name).savefig(f"equation-{name.replace('_', '-')}.png", dpi=150)
