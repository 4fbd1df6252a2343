"""Compiled programs on disk: a second process of the same mathematics neither traces nor compiles.

A file is a line of JSON with the digest of the rest, and JAX's serialised executable. Reading one
runs code, as the compilation cache of JAX does; so only files of this user are read, in a folder
that no other user can write to. What is damaged is compiled anew, with one message.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jaxlib import lapack

import thetahat
from thetahat.core import notify
from thetahat.core.files import replacing
from thetahat.data import cache_folder, jax_setting

MOST_FILES = 512
"""Programs on disk; the ones that were not used for longest are removed."""

_ROOMS = ("core", "data", "models", "optim", "risk", "train")
_FORMAT = "thetahat program 1"


def load(key: Any, in_tree: Any = None) -> tuple[Any, tuple[str, ...]] | None:
    """The program of a key and the names of its outputs; None where there is none.

    Args:    in_tree: the structure of its arguments; by default they are leaves.
    """
    path = _path(key)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            if not _ours(os.fstat(file.fileno())):
                return None
            head, payload = file.readline(), file.read()
        os.utime(path)
    except OSError:  # not there, or not ours to read
        return None
    try:
        header = json.loads(head)
        if header["format"] != _FORMAT or header["digest"] != _digest(payload):
            raise ValueError("other bytes than were written")
        leaves = ((0,) * header["inputs"], {})
        in_tree = jax.tree.structure(leaves) if in_tree is None else in_tree
        out_tree = jax.tree.structure([0] * header["outputs"])
        if b"lapack" in payload:
            # JAX binds LAPACK when it lowers such a program, and this one is not lowered: calls
            # of what is not bound end the process.
            lapack.prepare_lapack_call("potrf", np.dtype(np.float32))
        # A program is of one device, and would be loaded for all that there are.
        device = jax_setting("jax_default_device") or jax.local_devices()[0]
        program = serialize_executable.deserialize_and_load(
            payload, in_tree, out_tree, execution_devices=[device]
        )
    except Exception as error:  # noqa: BLE001 - damaged bytes may raise anything
        path.unlink(missing_ok=True)
        _say_damaged(str(path.parent), str(error))
        return None
    return program, tuple(header["names"])


@functools.cache
def _say_damaged(folder: str, why: str) -> None:
    """Say it once for a folder: what is damaged is removed, so that it is not met again."""
    notify(f"a compiled program in {folder} is damaged, and is compiled anew: {why}")


def save(key: Any, program: Any, names: Sequence[str] = ()) -> None:
    """Write a program, where its folder is ours and JAX can serialise it."""
    path = _path(key)
    if path is None:
        return
    try:
        payload, in_tree, out_tree = serialize_executable.serialize(program)
    except (ValueError, NotImplementedError):  # of a device, or with constants beside it
        return
    header = {
        "format": _FORMAT,
        "digest": _digest(payload),
        "inputs": in_tree.num_leaves,
        "outputs": out_tree.num_leaves,
        "names": list(names),
    }
    try:
        with replacing(path) as new:
            new.touch(mode=0o600)
            new.write_bytes(json.dumps(header).encode() + b"\n" + payload)
        _remove_oldest(path.parent)
    except OSError:  # a full disk, or a folder that was removed
        return


def link(key: Any, to: Any) -> None:
    """Give a program on disk, that of the key ``to``, another key too."""
    path, there = _path(key), _path(to)
    if path is None or there is None:
        return
    with suppress(OSError):  # there is none, or one has the key, or this disk links no files
        os.link(there, path)
        _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    with os.scandir(folder) as entries:
        files = [(entry.stat().st_mtime, entry.path) for entry in entries]
    for _, path in sorted(files)[:-MOST_FILES]:
        Path(path).unlink(missing_ok=True)


def _path(key: Any) -> Path | None:
    """The file of a key; None where programs are not kept on disk."""
    folder, around = _folder(), _around()
    if folder is None or around is None:
        return None
    return folder / f"{_digest(repr((key, around)).encode())}.program"


def _folder() -> Path | None:
    """The folder of programs, made if need be: of this user alone, beside JAX's own cache."""
    cache = str(cache_folder())
    if jax.default_backend() != "cpu" or jax_setting("jax_compilation_cache_dir") != cache:
        return None
    folder = Path(cache) / "programs"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    return folder if stat.S_ISDIR(found.st_mode) and _ours(found) else None


def _ours(found: os.stat_result) -> bool:
    """Whether a file or folder is this user's, and no other can write to it."""
    if not hasattr(os, "getuid"):  # Windows: the folder is in the user's profile
        return True
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


@functools.cache
def _around() -> tuple[str, ...] | None:
    """What a program depends on beside its mathematics and versions: this processor, and the code
    of the engine. None where that cannot be read."""
    info, features = Path("/proc/cpuinfo"), platform.processor()
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        features = "".join(sorted({line for line in lines if line.startswith(("flags", "model"))}))
    root, code = Path(thetahat.__file__).parent, hashlib.blake2b(digest_size=16)
    sources = [path for room in _ROOMS for path in sorted((root / room).rglob("*.py"))]
    for path in sources:
        code.update(path.read_bytes())
    if not sources:
        return None
    return platform.system(), platform.machine(), features, code.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
