"""How much faster is a sweep here than as processes of the lecture's program, from a cold start?

    python -m benchmarks.sweeps [--smoke] [--write]

Every measurement is a process of its own, from the command to its end, with an empty store and an
empty cache of compiled programs; wall and CPU seconds are those of it and of all it starts. Of all
packages the bytecode is there, as after installing them.

    mlp sweep      examples/mlp_sweep.yaml, 12 runs of 300 epochs, bayes over lr and width; four
                   times, with other seeds. Peer: 12 of their configs, three beside each, as
                   processes of examples/mlp_regression_logging.py, which logs to W&B offline, one
                   after the other; and the 12 of the first sweep, two at a time
    100 seeds      examples/seeds_sweep.yaml, one net of width 64. Peer: 5 such processes, times 20
    th.log         60 runs of a program with one th.log, their agent included; such programs
                   alone. Peer: Python with nothing to do
    10,000 runs    runs that end at once, through claim, record and close of one agent

The peer has no search, no agent and no server in its time, only its runs: that flatters it. It
trains on 500 observations where ours trains on 350 and keeps 150 back; both take one step an epoch.
"""
