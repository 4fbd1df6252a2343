"""Launches of agents: the script of the jobs, the user's template, and what is refused before any."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from at_work import LOSES

from children import SOURCE
from thetahat.core import ConfigError
from thetahat.core.places import Server
from thetahat.sweep.launch import TEMPLATE, SlurmJobs, slurm_script, submit

GRID = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [1, 2]}}"
PLACE = Server("postgresql://ann:s%20ecret@db/wages?sslmode=require", Path("/shared/wages"))
OTHERS = {"folder": "/home/ann", "logs": "/shared/wages/logs/slurm-%A_%a.log"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only these programs of Slurm are here; each notes what it is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, text: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    return make


@pytest.fixture
def sweep(at, thetahat) -> str:
    """A sweep of two points."""
    assert thetahat("sweep", at.sweep(GRID, LOSES))[0] == 0
    return at.row().id


def test_the_script_has_what_was_asked_for(at, thetahat, sweep) -> None:
    words = ["--slurm", "--agents", "8", "--cpus", "4", "--gpus", "a100:1", "--memory", "8G"]
    words += [
        "--time",
        "4:00:00",
        "--partition",
        "gpu",
        "--account",
        "econ",
        "--sbatch",
        "qos=long",
    ]
    code, out, err = thetahat("launch", sweep, *words, "--print", "--sbatch=--exclusive")
    assert (code, err) == (0, "")
    head = [line for line in out.splitlines() if line.startswith("#SBATCH")]
    assert head == [
        f"#SBATCH --job-name=thetahat-{sweep}",
        "#SBATCH --array=0-7",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --gres=gpu:a100:1",
        "#SBATCH --mem=8G",
        "#SBATCH --time=4:00:00",
        "#SBATCH --partition=gpu",
        "#SBATCH --account=econ",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --open-mode=append",
        f"#SBATCH --chdir={at.folder}",
        f"#SBATCH --output={at.folder}/.thetahat/logs/slurm-%A_%a.log",
        "#SBATCH --requeue",
        "#SBATCH --qos=long",
        "#SBATCH --exclusive",
    ]
    # Each GPU has its worker.
    assert f"\n{sys.executable} -m thetahat agent {sweep} &\n" in out
    assert f"\nexport THETAHAT_STORE={at.folder}/.thetahat/store.db\n" in out


def test_an_agent_without_gpus_has_a_worker_for_each_core() -> None:
    assert SlurmJobs(cpus=4).arguments("ab") == ["agent", "ab", "--workers=4"]
    assert SlurmJobs(cpus=4, workers=1).arguments("ab") == ["agent", "ab", "--workers=1"]
    assert SlurmJobs(gpus="2").arguments("ab") == ["agent", "ab"]


@pytest.mark.parametrize(
    ("time", "warning"), [("4:00:00", 120), ("2-00", 120), ("5", 60), ("0:30", 10), (None, 120)]
)
def test_agents_are_told_before_the_limit(time, warning) -> None:
    assert SlurmJobs(time=time).warning_s == warning


def test_the_password_is_in_the_environment_and_not_in_the_script(programs, tmp_path) -> None:
    programs(
        "sbatch", f'cat >{tmp_path}/job.sh; echo "$PGPASSWORD" >{tmp_path}/password; echo "7;c1"'
    )
    script = slurm_script(SlurmJobs(), "ab", PLACE, **OTHERS)
    assert submit(script, PLACE) == "7"
    assert (tmp_path / "password").read_text() == "s ecret\n"
    written = (tmp_path / "job.sh").read_text()
    assert written == script
    assert "ecret" not in written
    address = "postgresql://ann@db/wages?sslmode=require&folder=/shared/wages"
    assert f"export THETAHAT_STORE='{address}'\n" in written


def test_a_template_of_the_users_is_filled(at, thetahat, sweep) -> None:
    text = "#!/bin/bash\n{{ options }}\nmodule load apptainer\napptainer exec a.sif thetahat {{arguments}}\n"
    at.write("job.sh", text)
    code, out, _ = thetahat("launch", sweep, "--slurm", "--template", "job.sh", "--print")
    assert code == 0
    assert out.endswith(f"apptainer exec a.sif thetahat agent {sweep} --workers=1\n")
    assert out.startswith(f"#!/bin/bash\n#SBATCH --job-name=thetahat-{sweep}\n")


def test_a_launch_is_submitted_and_shown(at, thetahat, sweep, programs) -> None:
    at_host = "import socket; print('main*', socket.gethostname())"
    programs("sinfo", f'{sys.executable} -c "{at_host}"')
    programs("sbatch", "cat >job.sh; echo 12")
    programs("squeue", "echo '12|0|RUNNING|n1|1:00|None'; echo '12|1|PENDING||0:00|Resources'")
    code, out, _ = thetahat("launch", sweep, "--slurm", "--agents", "3")
    assert code == 0
    assert out == (
        f"job 12: 3 agents of the sweep {sweep} ({at.row().name})\n"
        "look at them: thetahat launch --status; end them: scancel 12\n"
    )
    assert "#SBATCH --array=0-2\n" in (at.folder / "job.sh").read_text()
    code, out, _ = thetahat("launch", "--status", "--format", "json")
    assert json.loads(out) == [
        {
            "job": "12",
            "sweep": f"{sweep} ({at.row().name})",
            "agents": 3,
            "running": 1,
            "pending": 1,
            "ended": 1,
            "nodes": "n1",
            "waits_for": "Resources",
            "runs_over": "0 of 2",
            "state": "running",
        }
    ]
    programs("squeue", "true")
    code, out, err = thetahat("launch", sweep, "--status")
    assert code == 0
    assert "waits for" in out
    logs = at.folder / ".thetahat" / "logs" / "slurm-12_*.log"
    assert f"its agents wrote to {logs}" in " ".join(err.split())
    assert thetahat("agent", sweep, "--quiet")[0] == 0
    code, out, _ = thetahat("launch", "--status")
    assert out.startswith("no launch is at work in the store ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs --slurm"),
        (["--slurm", "--agents", "0"], "--agents=0: give a whole number of at least 1"),
        (["--slurm", "--time", "2h"], "--time=2h: give a limit as Slurm takes it"),
        (["--slurm", "--gpus", "0"], "--gpus=0: give the number of GPUs of each agent"),
        (["--slurm", "--memory", "8 G"], "--memory='8 G': give one word"),
        (["--slurm", "--sbatch", "a\nb"], "give one option of sbatch, such as --sbatch qos=long"),
        (["--slurm", "--template", "none.sh"], "--template=none.sh cannot be read"),
        (["--slurm"], "sinfo is not on this machine: run thetahat launch where Slurm's"),
        (["--status", "--slurm"], "--status and --slurm exclude each other"),
        (["--slurm", "--agent", "2"], "did you mean --agents?"),
    ],
)
def test_wrong_flags_get_one_message(at, thetahat, sweep, monkeypatch, words, said) -> None:
    monkeypatch.setenv("PATH", str(at.folder))
    code, out, err = thetahat("launch", sweep, *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{options}}\n{{agent}}", "the first line must name a shell"),
        ("#!/bin/bash\n{{agent}}", "the template needs {{options}}, and {{agent}} or"),
        ("#!/bin/bash\n{{options}}", "the template needs {{options}}, and {{agent}} or"),
        (TEMPLATE + "{{agnet}}", "the template has no field {{agnet}}; did you mean 'agent'?"),
    ],
)
def test_a_wrong_template_gets_one_message(at, thetahat, sweep, text, said) -> None:
    at.write("job.sh", text)
    code, out, err = thetahat("launch", sweep, "--slurm", "--template", "job.sh", "--print")
    assert (code, out) == (2, "")
    assert f"job.sh: {said}" in " ".join(err.split())


def test_a_sweep_that_agents_cannot_work_on_is_refused(at, thetahat, sweep) -> None:
    def said(*words: str) -> str:
        code, _, err = thetahat("launch", *words, "--slurm")
        assert code == 2
        return " ".join(err.split())

    assert "no sweep" in said("nothing")
    assert "create it with: thetahat sweep sweep.yaml" in said("sweep.yaml")
    thetahat("sweep", sweep, "--pause")
    assert f"first: thetahat sweep {sweep} --resume" in said(sweep)
    thetahat("sweep", sweep, "--resume")
    (at.folder / "train.py").rename(at.folder / "other.py")
    assert f"there is no file train.py in {at.folder}" in said(sweep)
    thetahat("sweep", sweep, "--cancel")
    assert f"the sweep {sweep} is cancelled: its agents would end at once" in said(sweep)


def test_a_file_of_sqlite_is_refused_for_other_machines(at, thetahat, sweep, programs) -> None:
    programs("sinfo", "echo 'main* node7'; echo 'main* node8.cluster'; echo 'gpu node9'")
    programs("sbatch", "touch submitted; echo 1")
    code, _, err = thetahat("launch", sweep, "--slurm")
    said = " ".join(err.split())
    assert code == 2
    assert (
        "is a file of SQLite, which is for one machine, and jobs would run on node7, node8" in said
    )
    assert "thetahat store copy" in said
    assert "node9" not in said
    code, _, err = thetahat("launch", sweep, "--slurm", "--partition", "gpu")
    assert code == 2
    assert "jobs would run on node9;" in " ".join(err.split())
    assert not (at.folder / "submitted").exists()


def test_what_sbatch_refuses_is_said(at, thetahat, sweep, programs) -> None:
    programs("sinfo", "true")
    programs("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    code, _, err = thetahat("launch", sweep, "--slurm", "--partition", "x")
    assert code == 2
    assert "invalid partition specified: x" in err
    programs("sbatch", "echo hello")
    code, _, err = thetahat("launch", sweep, "--slurm")
    assert code == 2
    assert "sbatch answered 'hello', which is not the id of a job" in " ".join(err.split())


def test_an_odd_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="Slurm cannot use the path"):
        SlurmJobs().lines("ab", 'a"b', "logs")
    assert '#SBATCH --chdir="/a b"' in SlurmJobs().lines("ab", "/a b", "logs")


def test_the_page_shows_the_default_template() -> None:
    page = Path(__file__).parents[2] / "docs" / "clusters.md"
    assert f"```bash\n{TEMPLATE}```\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ray", "somewhere"], "--ray=somewhere: give the address of Ray's head, such as"),
        (["--ray", "--gpus", "a100:1"], "--gpus=a100:1: give Ray the number of GPUs of each agent"),
        (["--ray", "--time", "90"], "--ray and --time exclude each other"),
        (["--ray", "--slurm"], "--ray and --slurm exclude each other"),
    ],
)
def test_wrong_flags_of_ray_get_one_message(at, thetahat, sweep, words, said) -> None:
    code, out, err = thetahat("launch", sweep, *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_ray_without_a_cluster_or_a_package_gets_one_message(at, thetahat, sweep) -> None:
    # Where no cluster of anyone's is found.
    code, _, err = at.call("launch", sweep, "--ray", RAY_TMPDIR=str(at.folder))
    assert code == 2
    assert "no cluster of Ray answers at auto" in " ".join(err.split())
    assert "Traceback" not in err
    at.write("ray.py", "raise ImportError('no ray')")
    code, _, err = at.call("launch", sweep, "--ray", PYTHONPATH=f"{at.folder}:{SOURCE}")
    assert code == 2
    assert "pip install 'thetahat[ray]'" in err
