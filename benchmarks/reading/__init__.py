"""How long until runs of a large store are on the screen? And how long does SQLite alone take?

The store has one random sweep of 100,000 runs. A run has a config of seven parameters, three
metrics, the provenance that a real run has, and a block of records; one in fifty failed, one in a
hundred diverged, and one in two hundred has a metric that is not finite.

The floor is the same question asked of SQLite by the standard library's module, with nothing else.
"""
