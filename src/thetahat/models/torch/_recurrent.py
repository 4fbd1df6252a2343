"""GRU, LSTM and plain recurrent layers: a scan over time for each layer and direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import NotConverted

Step = Callable[[Any, Any, Any], Any]
"""(state, gates of the input, weights of the state) -> state, whose first part is the output."""


def _gru_step(state: Any, x: Any, of_state: Callable[[Any], Any]) -> Any:
    (h,) = state
    rx, zx, nx = jnp.split(x, 3, -1)
    rh, zh, nh = jnp.split(of_state(h), 3, -1)
    r, z = jax.nn.sigmoid(rx + rh), jax.nn.sigmoid(zx + zh)
    n = jnp.tanh(nx + r * nh)
    return (n + z * (h - n),)


def _lstm_step(state: Any, x: Any, of_state: Callable[[Any], Any]) -> Any:
    h, c = state
    i, f, g, o = jnp.split(x + of_state(h), 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _plain_step(activation: Callable[[Any], Any]) -> Step:
    return lambda state, x, of_state: (activation(x + of_state(state[0])),)


def _layer(step: Step, x: Any, state: Any, weights: Sequence[Any], biased: bool, back: bool) -> Any:
    """One direction of one layer.

    Args:    x: (T, B, d).   state: tuple of (B, h).   weights: of PyTorch, in their order.
    Returns: the outputs (T, B, h), and the last state.
    """
    inside, outside = weights[0], weights[1]
    biases = weights[2:4] if biased else (0, 0)
    project = weights[-1] if len(weights) == (5 if biased else 3) else None
    gates = x @ inside.T + biases[0]

    def of_state(h: Any) -> Any:
        return h @ outside.T + biases[1]

    def run(state: Any, gate: Any) -> Any:
        after = step(state, gate, of_state)
        if project is not None:
            after = (after[0] @ project.T, *after[1:])
        return after, after[0]

    last, out = jax.lax.scan(run, state, gates, reverse=back)
    return out, last


def _recurrent(step: Step, parts: int) -> Callable[..., Any]:
    """A whole layer stack.

    Args:    parts: arrays of a state, 2 for an LSTM.
    """

    def run(
        x: Any, first: Any, weights: Any, biased: bool, layers: int, dropout: float,
        training: bool, both: bool, batch_first: bool | None = None,
    ) -> Any:  # fmt: skip
        if batch_first is None or not isinstance(layers, int) or isinstance(layers, bool):
            raise NotConverted("a recurrent layer of packed sequences has no rule")
        if dropout and training and layers > 1:
            raise NotConverted("a recurrent layer with dropout between its layers has no rule")
        unbatched = x.ndim == 2
        states = tuple(first) if parts == 2 else (first,)
        if unbatched:
            x, states = x[:, None], tuple(s[:, None] for s in states)
        elif batch_first:
            x = jnp.swapaxes(x, 0, 1)
        directions = 2 if both else 1
        each = len(weights) // (layers * directions)
        ends = []
        for layer in range(layers):
            outs = []
            for back in range(directions):
                n = layer * directions + back
                state = tuple(s[n] for s in states)
                own = weights[n * each : (n + 1) * each]
                out, last = _layer(step, x, state, own, biased, bool(back))
                outs.append(out)
                ends.append(last)
            x = jnp.concatenate(outs, -1)
        lasts = [jnp.stack(part) for part in zip(*ends, strict=True)]
        if unbatched:
            return (x[:, 0], *(last[:, 0] for last in lasts))
        return (jnp.swapaxes(x, 0, 1) if batch_first else x, *lasts)

    return run


RECURRENT: dict[str, Callable[..., Any]] = {
    "gru": _recurrent(_gru_step, 1),
    "lstm": _recurrent(_lstm_step, 2),
    "rnn_tanh": _recurrent(_plain_step(jnp.tanh), 1),
    "rnn_relu": _recurrent(_plain_step(jax.nn.relu), 1),
}
"""The functions of ``torch`` that recurrent modules call."""
