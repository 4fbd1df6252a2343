"""How long until the page is there, and until a sweep of 10,000 runs can be worked with?

A store of 10,000 runs of 300 epochs is made by the store's own functions; nothing is trained.
Then, in each round, a new `thetahat ui`: seconds from the command to the first page and to the
first data, its memory; and in headless Chromium, seconds from the address to a sweep page that
has every run, has drawn what is in the window, all lines of the parallel coordinates too, and whose
main thread is idle; then the table, which is made once it comes near; from a record's writing to
its curve on the page of its run; and the sweep page once more in a new browser context, the store
having changed since the server last read it.
The cache of files is warm: a first round is left out.

trackio and optuna-dashboard, where they are installed, are measured in the same rounds: from the
command to the first page, and from the address of the runs until they are drawn and half a second
passes without a long task ("quiet"), by which ours is measured too. See `benchmarks/web/peers.py`.
"""
