"""Recognise network file systems, on which SQLite's write-ahead log loses data."""

from __future__ import annotations

import os
from pathlib import Path

KINDS = {
    "afs": "AFS",
    "beegfs": "BeeGFS",
    "beegfs_nodev": "BeeGFS",
    "ceph": "CephFS",
    "cifs": "SMB",
    "fuse.ceph-fuse": "CephFS",
    "fuse.glusterfs": "GlusterFS",
    "fuse.sshfs": "SSHFS",
    "glusterfs": "GlusterFS",
    "gpfs": "GPFS",
    "lustre": "Lustre",
    "nfs": "NFS",
    "nfs4": "NFS",
    "panfs": "PanFS",
    "pvfs2": "OrangeFS",
    "smb3": "SMB",
    "smbfs": "SMB",
    "wekafs": "WekaFS",
}
"""Types of file systems that several machines share, as Linux calls them."""
MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of network file system that a path lies on; None for others, or if unknown.

    Args:    mounts: what Linux says is mounted; other systems have no such file.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place, nearest, kind = os.path.realpath(path), -1, None
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) < 5 or not after:
            continue
        # A space in a path is written \040. Of two mounts at one place the later one is seen.
        point = words[4].replace("\\040", " ").rstrip("/")
        if (place == point or place.startswith(f"{point}/")) and len(point) >= nearest:
            nearest, kind = len(point), after.partition(" ")[0]
    return KINDS.get(kind or "")
