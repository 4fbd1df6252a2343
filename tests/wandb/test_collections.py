"""Versions of artifacts and their aliases, and what belongs to one project alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from thetahat.store import Store, list_tables, open_store, read_table


@pytest.fixture
def log(client: Any, here: Path) -> Any:
    """Logs a text as a version of the artifact ``reg``, and returns the version."""

    def call(text: str, project: str = "A", **more: Any) -> str:
        (here / "m.txt").write_text(text)
        with client.init(project=project) as run:
            made = client.Artifact("reg", "model", metadata={"text": text})
            made.add_file("m.txt")
            run.log_artifact(made, **more)
            return made.version

    return call


def content(client: Any, name: str) -> str:
    artifact = client.Api().artifact(name)
    return Path(artifact.file(root=f"out-{artifact.version}-{artifact.project}")).read_text()


def test_a_link_or_a_change_of_an_old_version_leaves_newer_ones(client, log) -> None:
    assert [log("first"), log("second")] == ["v0", "v1"]
    with client.init(project="A") as run:
        run.link_artifact(run.use_artifact("reg:v0"), "registry/x")
    old = client.Api().artifact("A/reg:v0")
    old.aliases.append("prod")
    old.metadata["note"] = "old"
    old.save()
    assert content(client, "A/reg:latest") == "second"
    assert log("third") == "v2"
    found = {name: content(client, f"A/reg:{name}") for name in ("v0", "v1", "v2", "latest")}
    assert found == {"v0": "first", "v1": "second", "v2": "third", "latest": "third"}
    again = client.Api().artifact("A/reg:prod")
    assert (again.version, again.metadata["note"]) == ("v0", "old")
    assert again.aliases == ["link:registry/x", "prod"]


def test_a_link_is_followed_by_its_own_versions_and_aliases(client, log, here: Path) -> None:
    log("first", aliases=["prod"])
    log("second")
    with client.init(project="A") as run:
        for version, words in (("v1", []), ("v0", ["good"])):
            got = run.link_artifact(run.use_artifact(f"reg:{version}"), "registry/x", words)
            assert (got.name, got.source_name, got.is_link) == (
                f"x:v{1 - int(version[1])}",
                f"reg:{version}",
                True,
            )
        run.link_artifact(run.use_artifact("reg:v1"), "me/registry/x")  # is there already
    with client.init(project="B") as run:
        found = run.use_artifact("me/registry/x:good")
        assert found.qualified_name == "local/registry/x:v1"
        assert Path(found.file()).read_text() == "first"
        for name, text in (("v0", "second"), ("v1", "first"), ("latest", "second"), ("", "second")):
            name = f"registry/x:{name}".rstrip(":")
            assert Path(run.use_artifact(name).file(root=f"r-{text}")).read_text() == text
        with pytest.raises(client.errors.CommError, match="no project 'registry'"):
            run.use_artifact("registry/x:v7")
    assert client.Api().artifact("A/reg:prod").version == "v0"  # the link took no alias of it
    assert [one.id for one in client.Api().artifact("A/reg:v1").used_by()][-1] == run.id
    found = client.Api().artifact("registry/x:v0")
    found.aliases = ["good"]
    found.metadata["note"] = "by link"
    found.save()
    api = client.Api()
    assert api.artifact("registry/x:good").source_version == "v1"
    assert api.artifact("registry/x:v1").aliases == []
    assert api.artifact("A/reg:v1").metadata["note"] == "by link"
    with client.init(project="A") as run:
        made = client.Artifact("new", "model")
        made.add_file("m.txt")
        run.link_artifact(made, "registry/x", ["fresh"])
    assert api.artifact("registry/x:latest").source_name == "new:v0"
    assert api.artifact("A/new:v0").aliases == ["latest", "link:registry/x"]


def test_an_alias_belongs_to_the_version_that_was_given_it_last(client, log) -> None:
    log("one", aliases=["best"])
    stale = client.Api().artifact("A/reg:v0")
    log("two", aliases=["best"])
    stale.aliases.append("old")
    stale.save()  # it had been the latest when it was read
    versions = client.Api().artifacts("model", "A/reg")
    assert [(one.version, one.aliases) for one in versions] == [
        ("v1", ["best", "latest"]),
        ("v0", ["old"]),
    ]
    assert content(client, "A/reg:best") == "two"
    back = client.Api().artifact("A/reg:v0")
    back.aliases = ["best"]
    back.save()
    assert (content(client, "A/reg:best"), content(client, "A/reg:latest")) == ("one", "two")


def test_equal_contents_are_the_version_that_is_there(client, log) -> None:
    assert [log("a"), log("b"), log("a"), log("c")] == ["v0", "v1", "v0", "v2"]
    assert [one.version for one in client.Api().artifacts("model", "A/reg")] == ["v2", "v1", "v0"]
    log("b")
    assert client.Api().artifact("A/reg:latest").version == "v1"


def test_older_stores_with_aliases_in_every_version_are_read(client, log, store: Store) -> None:
    log("one")
    log("two")
    with store.batch() as writer:
        for row, about in writer.execute("SELECT id, detail FROM files", {}).fetchall():
            if "artifact" in (read := json.loads(about)):
                detail = json.dumps({**read, "aliases": ["latest"]})
                writer.execute(
                    "UPDATE files SET detail = :detail WHERE id = :row",
                    {"row": row, "detail": detail},
                )
    assert content(client, "A/reg:latest") == "two"
    old = client.Api().artifact("A/reg:v0")
    assert old.aliases == []
    old.aliases.append("prod")
    old.save()
    assert content(client, "A/reg:latest") == "two"


def test_an_artifact_of_another_project_is_not_returned(client, log) -> None:
    log("of A")
    log("of B", project="B")
    assert (content(client, "A/reg:latest"), content(client, "me/B/reg:v0")) == ("of A", "of B")
    with pytest.raises(client.errors.CommError, match="no project 'NONE'; its projects: A, B"):
        client.Api().artifact("me/NONE/reg:latest")
    with pytest.raises(client.errors.CommError, match="several projects have an artifact"):
        client.Api().artifact("reg:v0")
    with client.init(project="B") as run:
        assert run.use_artifact("reg:v0").project == "B"
        assert run.use_artifact("A/reg:v0").project == "A"
    (user,) = [one for one in client.Api().runs("B") if one.used_artifacts()]
    assert [one.qualified_name for one in user.used_artifacts()] == [
        "local/B/reg:v0",
        "local/A/reg:v0",
    ]
    for project in ("A", "B"):
        used_by = client.Api().artifact(f"{project}/reg:v0").used_by()
        assert [run.id for run in used_by] == [user.id]


def test_a_file_is_logged_as_it_was_when_it_was_added(client, here: Path, store: Store) -> None:
    (here / "d").mkdir()
    (here / "d" / "n.txt").write_text("inner")
    (here / "m.txt").write_text("one")
    with client.init(project="A") as run:
        made = client.Artifact("data", "dataset")
        made.add_file("m.txt")
        made.add_dir("d")
        (here / "m.txt").write_text("CHANGED")
        (here / "d" / "n.txt").unlink()
        run.log_artifact(made)
        got = Path(run.use_artifact("data:latest").download("out"))
    assert [(got / name).read_text() for name in ("m.txt", "n.txt")] == ["one", "inner"]


def test_a_run_id_belongs_to_its_project(client, here: Path, store: Store, thetahat) -> None:
    with client.init(project="A", id="seed-1") as run:
        run.log({"loss": 1.0})
    with client.init(project="B", id="seed-1", resume="allow") as run:
        assert not run.resumed
        run.log({"loss": 5.0})
    with pytest.raises(client.UsageError, match="no run 'seed-1' in the project 'C'"):
        client.init(project="C", id="seed-1", resume="must")
    with pytest.raises(client.UsageError, match="several projects have a run 'seed-1': A, B"):
        client.init(id="seed-1", resume="allow")
    api = client.Api()
    assert [api.run(f"me/{p}/seed-1").summary["loss"] for p in "AB"] == [1, 5]
    for path, words in (("C/seed-1", "no project 'C'"), ("seed-1", "several projects have a run")):
        with pytest.raises(client.errors.CommError, match=words):
            api.run(path)
    with store.batch() as writer:
        writer.execute("UPDATE runs SET started = created, created = :at", {"at": "2026-01-01"})
        writer.execute("UPDATE runs SET started = :at", {"at": "2026-01-01T00:00:00.000+00:00"})
    assert thetahat("export", "out", "--to", "wandb")[0] == 0
    assert thetahat("export", "out", "--to", "wandb")[0] != 0
    code, out, err = thetahat("import", "wandb", "out", "--store", "again")
    assert (code, "2 runs" in out) == (0, True), err
    with open_store(here / "again") as again:
        assert {run.project: run.metrics for run in again.runs()} == {
            "A": {"loss": 1.0},
            "B": {"loss": 5.0},
        }
    _, out, _ = thetahat("import", "wandb", "out", "--store", "again")
    assert "has all 2 runs already" in out


def test_columns_of_one_name_are_all_kept(
    client, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with client.init() as run:
        run.log({"t": client.Table(columns=["x", "x", "x_2"], data=[[1, 2, 3]])})
    (table,) = list_tables(store, run.id)
    columns = read_table(store, run.id, table.name)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "x": [1],
        "x_3": [2],
        "x_2": [3],
    }
    assert "two columns of one name; they are kept as x, x_3, x_2" in capsys.readouterr().err


def test_values_of_a_mapping_come_back_from_an_export_as_one(client, here, thetahat) -> None:
    with client.init(project="p", id="n") as run:
        run.log({"val": {"acc": 1}, "a.b": 2})
    assert thetahat("export", "out", "--to", "wandb")[0] == 0
    assert thetahat("import", "wandb", "out", "--store", "again")[0] == 0
    for place in (".thetahat", "again"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("THETAHAT_STORE", place)
            summary = client.Api().run("p/n").summary
            assert {name: summary[name] for name in summary if name[0] != "_"} == {
                "val": {"acc": 1},
                "a.b": 2,
            }
