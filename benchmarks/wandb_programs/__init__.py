"""What does ``import wandb`` cost a run, beside ``th.log``?

    python -m benchmarks.wandb_programs [--smoke] [--write]

The same program three times: it logs 1 or 100 rows by ``th.log``; by ``import wandb``, which
thetahat answers; and by the package itself, offline, if it is installed. Each is a process of its
own in the environment that an agent gives it, and a run of a sweep, the agent's own work included.
CPU seconds of a run, medians of interleaved rounds.
"""
