"""Which goals of speed are reached? One command runs the benchmarks and writes one table.

    python -m benchmarks.goals             runs all below, one after the other, and prints the table
    python -m benchmarks.goals --write     the same; their results and the table go to
                                           benchmarks/results
    python -m benchmarks.goals --table     measures nothing: the table of the newest results

On an idle machine with two cores it takes about a quarter of an hour; the table says how long each
part took. Results of another day keep their date in the table.

It needs the packages of the extra ``bench`` and Chromium (``--chromium PATH``); a peer that is not
installed is left out and named. trackio and optuna-dashboard, peers of the page, are in no extra.
"""
