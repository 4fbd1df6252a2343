"""What does starting cost: an import, a help page, the first and the second process of a fit?

    python -m benchmarks.startup [--smoke] [--write]

Every line is a process of its own, measured from outside: CPU time of all its threads and wall
time, the median of interleaved rounds. The experiment is a network on simulated data
(``experiment.py``); its first process finds an empty compilation cache, its second the cache that
the first has left.
"""
