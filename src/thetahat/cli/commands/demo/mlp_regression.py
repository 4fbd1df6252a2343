"""An experiment: one typed function that gives a command line, a compiled fit and a tracked
run.

Its signature is the command line. The annotations say what compiles: ``float`` and
``th.Seed`` parameters are traced, so any number of their values run as one program; a new
value of the others (``width``, ``epochs``, ...) is a new program.

    python examples/mlp_regression.py --width=64 --lr=0.01 --batch_size=32 --epochs=200
    python examples/mlp_regression.py --help
    thetahat runs
"""

import optax

import thetahat as th


def mlp_regression(
    N: int = 500,
    M: int = 2,
    sigma: float = 1e-4,
    width: int = 128,
    lr: float = 1e-3,
    epochs: int = 2000,
    batch_size: int = 512,
    seed: th.Seed = 42,
) -> th.Task:
    """Fit a two-hidden-layer network to a linear data-generating process.

    Args:
        N: observations, split 70 : 15 : 15.
        M: inputs.
        sigma: standard deviation of the noise.
        width: units of each hidden layer.
        lr: learning rate of gradient descent.
        epochs: passes over the training part.
        batch_size: observations a step.
        seed: of the data, the split and the initial parameters.
    """
    data = th.split(
        th.dgp.linear(N, M, sigma, seed=seed), train=0.7, val=0.15, test=0.15, seed=seed
    )
    return th.Task(
        model=th.models.MLP(M, width=width, depth=2, seed=seed),
        data=data,
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
    )


if __name__ == "__main__":
    th.main(mlp_regression)
