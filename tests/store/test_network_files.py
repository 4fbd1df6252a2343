"""Stores on network file systems: which these are, and the journal that is safe there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from thetahat.core.errors import Notice

# No test can mount a network drive: what the system says is simulated.
from thetahat.store import _sqlite, open_store
from thetahat.store._network_files import network_file_system

SQLITE_ONLY = True
MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /home rw - nfs4 server:/home rw,vers=4.2
41 40 0:41 / /home/ann/local rw - xfs /dev/sdb1 rw
42 22 0:42 / /scratch\040two rw - lustre mds:/scratch rw
43 22 0:43 / /data rw - ext4 /dev/sdc1 rw
44 43 0:44 / /data rw - gpfs data rw
not a mount
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp", None),
        ("/home", "NFS"),
        ("/home/ann/.thetahat", "NFS"),
        ("/home/ann/local/.thetahat", None),
        ("/homes/ann", None),
        ("/scratch two/runs", "Lustre"),
        ("/data/runs", "GPFS"),
    ],
)
def test_network_file_systems_are_recognised(tmp_path: Path, path: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_file_system(Path(path), mounts) == kind


def test_links_to_network_file_systems_are_followed(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path}/far rw - nfs b rw\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    assert network_file_system(tmp_path / "near", mounts) == "NFS"
    assert network_file_system(tmp_path, mounts) is None


def test_where_nothing_is_known_nothing_is_said(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "missing") is None


@pytest.fixture
def on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite, "network_file_system", lambda path: "NFS")


def test_a_store_on_a_network_file_system_uses_the_safe_journal(tmp_path: Path, on_nfs) -> None:
    with pytest.warns(Notice, match=r"lies on NFS: .* keep it in PostgreSQL"):
        store = open_store(tmp_path)
    assert store.health()["journal"] == "delete"
    store.close()
    # Said once, when the store is made.
    open_store(tmp_path).close()
    assert not (tmp_path / "store.db-wal").exists()


def test_a_store_that_was_moved_there_leaves_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        store.create_run({"x": 1}, experiment="fit")
        assert store.health()["journal"] == "wal"
    monkeypatch.setattr(_sqlite, "network_file_system", lambda path: "Lustre")
    with pytest.warns(Notice, match="lies on Lustre"):
        store = open_store(tmp_path)
    assert store.health()["journal"] == "delete"
    assert [run.config for run in store.runs()] == [{"x": 1}]
    store.close()


def test_many_write_and_read_with_that_journal(tmp_path: Path, on_nfs) -> None:
    with pytest.warns(Notice):
        open_store(tmp_path).close()
    failures: list[BaseException] = []

    def write(k: int) -> None:
        try:
            with open_store(tmp_path) as store:
                for i in range(15):
                    store.create_run({"k": k, "i": i}, experiment="fit")
                    assert len(store.runs()) > i
        except BaseException as error:  # noqa: BLE001 - the test reports it
            failures.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_store(tmp_path) as store:
        found = sorted((run.config["k"], run.config["i"]) for run in store.runs())
    assert found == [(k, i) for k in range(4) for i in range(15)]


def test_a_reader_without_the_right_to_write_sees_what_is_written(tmp_path: Path, on_nfs) -> None:
    with pytest.warns(Notice):
        store = open_store(tmp_path)
    store.create_run({"x": 1}, experiment="fit")
    mode = _sqlite.OpenMode(read_only=True)
    reader = _sqlite.connect(store.path, mode)
    count = "SELECT count(*) FROM runs"
    with reader.connect() as connection:
        assert connection.exec_driver_sql(count).scalar() == 1
        connection.commit()
        store.create_run({"x": 2}, experiment="fit")
        assert connection.exec_driver_sql(count).scalar() == 2
    reader.dispose()
    store.close()
