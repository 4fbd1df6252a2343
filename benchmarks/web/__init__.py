"""How long until the page is there, and until a sweep of 10,000 runs can be worked with?

A store of 10,000 runs of 300 epochs is made by the store's own functions; nothing is trained.
Then, in each round, a new `thetahat ui`: seconds from the command to the first page and to the
first data, its memory; and in headless Chromium, seconds from the address to a sweep page whose
table holds every run and whose main thread is idle, and from a record's writing to its curve on
the page of its run. Charts below the window are drawn later, when there is time. The cache of
files is warm: a first round is left out.
"""
