"""What a run does with artifacts: it logs a version, uses one, or gives one another name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thetahat.core.json import plain_value
from thetahat.store._logged_file import media_type
from thetahat.store._logged_things import put_file
from thetahat.wandb._artifacts import Artifact
from thetahat.wandb._collection import KIND, PART, Collection
from thetahat.wandb._run import Run
from thetahat.wandb._values import load


def log_artifact(
    run: Run,
    artifact_or_path: Any,
    name: str | None = None,
    type: str | None = None,
    aliases: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    **_: Any,
) -> Artifact:
    """Make a version of an artifact; equal contents are the version that is there."""
    artifact = artifact_or_path
    if not isinstance(artifact, Artifact):
        path = Path(artifact_or_path)
        artifact = Artifact(name or f"run-{run.id}-{path.name}", type or "unspecified")
        add = artifact.add_dir if path.is_dir() else artifact.add_file
        add(path, policy="immutable")
    artifact.aliases = list(dict.fromkeys([*(aliases or ()), *artifact.aliases, "latest"]))
    if run._sink is None:
        artifact.version = "v0"
        return artifact
    folder = run._sink.folder
    for inner, content in artifact._given.items():
        digest, size = put_file(folder, content)
        artifact._entries[inner] = {"digest": digest, "size": size}
    artifact._given, artifact._folder = {}, folder
    if artifact._copies:
        shutil.rmtree(artifact._copies, ignore_errors=True)
        artifact._copies = ""
    record_version(run._sink, artifact)
    return artifact


def record_version(sink: Any, artifact: Artifact) -> None:
    """Write the next version of an artifact, whose contents are kept, as files of a run."""
    with sink.writing() as writer:
        collection = Collection(writer, artifact._name, sink.id)
        digest = artifact.digest
        artifact.version = collection.version_of(digest)
        artifact.aliases = collection.give(artifact.version, artifact.aliases)
        about = {
            "artifact": artifact._name,
            "version": artifact.version,
            "type": artifact.type,
            "description": artifact.description,
            "metadata": plain_value(artifact.metadata),
            "aliases": artifact.aliases,
            "digest": digest,
        }
        text = json.dumps({**about, "entries": artifact._entries}, indent=1).encode()
        written, size = put_file(sink.folder, text)
        kept = {"media": "application/json", "digest": written, "bytes": size}
        writer.keep_file(sink.id, artifact.name, kept, kind=KIND, detail=about)
        for inner, entry in artifact._entries.items():
            if "digest" in entry:
                part = {
                    "media": media_type(inner),
                    "digest": entry["digest"],
                    "bytes": entry["size"],
                }
                writer.keep_file(sink.id, f"{artifact.name}/{inner}", part, kind=PART)
    artifact._logged_to, artifact._known_aliases = sink.id, list(artifact.aliases)


upsert_artifact = finish_artifact = log_artifact


def use_artifact(
    run: Run,
    artifact_or_name: Any,
    type: str | None = None,
    aliases: Any = None,
    use_as: str | None = None,
) -> Artifact:
    """Return an artifact by its name, and note that this run used it.

    Raises:  CommError: the store has none of this name and version.
    """
    found = artifact_or_name
    if not isinstance(found, Artifact):
        found = load("_api_artifacts").artifact_of_run(load("_api").Api(), run, str(found), type)
    elif not found.version:
        found = log_artifact(run, found)
    name, project = found.source_name, found.source_project
    name = name if project == run.project else f"{project}/{name}"
    used = list(dict.fromkeys([*run._labels.get("used", ()), name]))
    run._label(used=used)
    return found


def link_artifact(
    run: Run, artifact: Artifact, target_path: str, aliases: Sequence[str] | None = None
) -> Artifact:
    """Log an artifact if it is not, and give it another name."""
    if not artifact.version:
        log_artifact(run, artifact)
    return artifact.link(target_path, aliases)


def log_model(
    run: Run, path: Any, name: str | None = None, aliases: Sequence[str] | None = None
) -> Artifact:
    """Log a file or a folder as an artifact of the type ``model``."""
    return log_artifact(run, path, name or f"run-{run.id}-model", "model", aliases)


def use_model(run: Run, name: str) -> str:
    """Copy a model, and return the path of its file, or of its folder."""
    found = use_artifact(run, name)
    folder = found.download()
    return str(Path(folder, next(iter(found._entries)))) if found.file_count == 1 else folder


def link_model(
    run: Run,
    path: Any,
    registered_model_name: str,
    name: str | None = None,
    aliases: Sequence[str] | None = None,
) -> Artifact:
    """Log a model, and give it a name of a registry."""
    return link_artifact(run, log_model(run, path, name), registered_model_name, aliases)
