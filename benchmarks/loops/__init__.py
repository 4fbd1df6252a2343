"""What does a training step cost, with every epoch logged and a validation risk each epoch?

    python -m benchmarks.loops [--problems P1,P2] [--peers NAME,NAME] [--smoke] [--write]

Problems (SGD, linear data generating process, 200 validation observations):

    P1      full batch, N = 500,  2-128-128-1 ReLU      1 step an epoch
    P2      batch 16,   N = 1000, 2-128-128-1 ReLU     63 steps, the last of 8 observations
    P3      batch 16,   N = 1000, 2-16-16-1 ReLU       63 steps, the last of 8
    P4      batch 16,   N = 500,  linear               32 steps, the last of 4
    P3x64, P4x64                                       64 fits: other initial parameters and rates

Every contestant does the same work: a new order of the observations in every epoch (none for a
full batch), the short last batch used, and the train and validation risk of every epoch as numbers
on the host. The measure is CPU time a step of all threads (``time.process_time``),
warm, on one pinned core, in interleaved rounds of one process: it moves less with the machine's
load than wall time does, which is given beside it. What a first call costs stands apart.

Libraries that own their loop (thetahat, Lightning, skorch, Keras) are timed between their first and
their last epoch's hook, loops by hand from before their first epoch to after their last. 64 fits
share data and the order of observations, and differ in initial parameters and learning rates.
"""
