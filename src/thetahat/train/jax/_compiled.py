"""The compiled programs of this process, by what they compute: the last ones, for any fit."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

MOST = 96
"""Keys of programs that are kept, of 1.5 MB at most: a fit has six (its data, first state, chunk,
evaluation by two keys, and predictions)."""

MOST_CONSTANTS = 1 << 24
"""Bytes of constants up to which a program is kept: it holds them as long as it is."""


@dataclass
class CompiledPrograms:
    """The last programs that were used, at most ``most``; any thread may ask."""

    most: int = MOST
    _programs: OrderedDict[Any, Any] = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def get(self, key: Any) -> Any:
        """The program of a key; None where there is none."""
        with self._lock:
            if key in self._programs:
                self._programs.move_to_end(key)
            return self._programs.get(key)

    def keep(self, key: Any, program: Any) -> None:
        """Keep a program, and drop the one that was not used for longest beyond ``most``."""
        with self._lock:
            self._programs[key] = program
            self._programs.move_to_end(key)
            while len(self._programs) > self.most:
                self._programs.popitem(last=False)

    def clear(self) -> None:
        """Drop all programs."""
        with self._lock:
            self._programs.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._programs)


compiled = CompiledPrograms()
"""Those of this process."""


def reused() -> bool:
    """Whether programs are reused: unless THETAHAT_CACHE is "off"."""
    return os.environ.get("THETAHAT_CACHE") != "off"
