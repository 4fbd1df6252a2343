"""Launch agents on a cluster: an array of Slurm jobs, or tasks of Ray."""

from thetahat.sweep.launch._launches import (
    Launched as Launched,
    read_launches as read_launches,
    record_launch as record_launch,
)
from thetahat.sweep.launch._ray import (
    AgentEnded as AgentEnded,
    RayTasks as RayTasks,
    work_on_ray as work_on_ray,
)
from thetahat.sweep.launch._sharing import (
    check_launchable as check_launchable,
    check_shared as check_shared,
)
from thetahat.sweep.launch._slurm import (
    JobTask as JobTask,
    SlurmJobs as SlurmJobs,
    hosts_of as hosts_of,
    list_tasks as list_tasks,
    slurm_script as slurm_script,
    submit as submit,
)
from thetahat.sweep.launch._template import TEMPLATE as TEMPLATE

__all__ = [
    "TEMPLATE",
    "AgentEnded",
    "JobTask",
    "Launched",
    "RayTasks",
    "SlurmJobs",
    "check_launchable",
    "check_shared",
    "hosts_of",
    "list_tasks",
    "read_launches",
    "record_launch",
    "slurm_script",
    "submit",
    "work_on_ray",
]
