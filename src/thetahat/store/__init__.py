"""The store of runs: one SQLite file, the tracker that fills it, and runs logged by hand.

Names are loaded when first used: a program that only logs does not wait for SQLAlchemy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing

    from thetahat.store._public import *  # noqa: F403


def __getattr__(name: str) -> typing.Any:
    if not name.startswith("_"):  # Python looks for such names in every package
        from thetahat.store import _public

        if name in _public.__all__:
            globals().update({known: getattr(_public, known) for known in _public.__all__})
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
