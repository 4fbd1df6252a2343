"""A run that is the average of others, and the risks of any run in units of its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store


def members_of_bag(store: Store, run: RunRow) -> list[RunRow]:
    """List the runs that a run averages, in order; an empty list if it averages none."""
    if (run.detail or {}).get("members") is None or run.cohort is None:
        return []
    runs = [one for one in store.runs(cohort=run.cohort) if one.id != run.id]
    return sorted(runs, key=lambda one: one.member or 0)


def risk_in_units(run: RunRow) -> str:
    """Write the risks of a run in units of its target, and what a risk of 1 is.

    Returns: such as ``train 9, val 18 wage² (a risk of 1 is 9 wage², the variance of wage ...)``;
             empty if the unit is not known, or if it is that of the risks as they are.
    """
    unit = (run.detail or {}).get("risk_unit")
    if unit is None:
        return ""
    name = unit["unit"]
    if unit["one"] == 1:
        return f"in {name}"
    risks = ((part, run.metrics.get(f"{part}_risk")) for part in ("train", "val", "test"))
    said = ", ".join(f"{p} {v * unit['one']:.4g}" for p, v in risks if v is not None)
    one = f"a risk of 1 is {unit['one']:.4g} {name}, {unit['why']}"
    return f"{said} {name} ({one})" if said else one
