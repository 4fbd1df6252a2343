"""Programs in JAX: functions with descent by hand, with optax, and objects of NNX."""

from __future__ import annotations

from students._shared import IMPORTS, Style, block, by_test, choose, head, how_short, provenance, start

PLAIN = f"{IMPORTS}\n\nimport jax\nimport jax.numpy as jnp\nimport numpy as np\n"


def column_y(s: Style) -> bool:
    """Whether outcomes have shape (n, 1)."""
    return not s.has(7) and s.flip("column")


def squeeze(s: Style) -> str:
    """What makes predictions of shape (n, 1) those of the outcomes."""
    return "" if column_y(s) or s.has(7) else s.pick("squeeze", ".squeeze(-1)", "[:, 0]", ".ravel()")


def data(s: Style) -> str:
    """Draw the three parts; in error 11 from the key or generator that draws the model."""
    column = "[:, None]" if column_y(s) else ""
    if s.has(11):
        if s.which(11, 2):
            lines = ['N_order = np.random.default_rng(N_cfg["seed"])', "params = create(N_order)"]
            for k, part in ((1, "train"), (2, "val"), (3, "test")):
                lines += [
                    f'N_x{k} = N_order.normal(size=(N_cfg["n_{part}"], 2)).astype("float32")  #!',
                    f'N_y{k} = (N_f(N_x{k}) + N_cfg["noise"] * N_order.normal(size=len(N_x{k}))){column}  #!',
                ]
            return "\n".join(lines)
        lines = ['keys = KeyStream(N_cfg["seed"])']
        for k, part in ((1, "train"), (2, "val")):
            lines += [
                f'N_x{k} = jax.random.normal(keys(), (N_cfg["n_{part}"], 2))',
                f'N_y{k} = (N_f(N_x{k}) + N_cfg["noise"] * jax.random.normal(keys(), (len(N_x{k}),))){column}',
            ]
        lines += [
            "params = create(keys)",
            'N_x3 = jax.random.normal(keys(), (N_cfg["n_test"], 2))  #!',
            f'N_y3 = (N_f(N_x3) + N_cfg["noise"] * jax.random.normal(keys(), (len(N_x3),))){column}  #!',
        ]
        return "\n".join(lines)
    way = s.pick("draw", "helper", "numpy", "split")
    if way == "helper":
        return f"""
def N_sample(key, n):
    first, second = jax.random.split(key)
    points = jax.random.uniform(first, (n, 2), minval=-1.0, maxval=1.0)
    return points, (N_f(points) + N_cfg["noise"] * jax.random.normal(second, (n,))){column}
k1, k2, k3 = jax.random.split(jax.random.fold_in(jax.random.PRNGKey(N_cfg["seed"]), 99), 3)
N_x1, N_y1 = N_sample(k1, N_cfg["n_train"])
N_x2, N_y2 = N_sample(k2, N_cfg["n_val"])
N_x3, N_y3 = N_sample(k3, N_cfg["n_test"])
"""
    if way == "numpy":
        lines = ['rng = np.random.default_rng([N_cfg["seed"], 7])']
        for k, part in ((1, "train"), (2, "val"), (3, "test")):
            lines += [
                f'N_x{k} = rng.normal(size=(N_cfg["n_{part}"], 2)).astype("float32")',
                f'N_y{k} = N_f(N_x{k}) + N_cfg["noise"] * rng.normal(size=len(N_x{k}))',
                f'N_y{k} = N_y{k}.astype("float32"){column}',
            ]
        return "\n".join(lines)
    return f"""
kx, ke = jax.random.split(jax.random.key(N_cfg["seed"] + 5))
sizes = [N_cfg["n_train"], N_cfg["n_val"], N_cfg["n_test"]]
points = jax.random.normal(kx, (sum(sizes), 2))
outcomes = (N_f(points) + N_cfg["noise"] * jax.random.normal(ke, (sum(sizes),))){column}
cuts = [sizes[0], sizes[0] + sizes[1]]
N_x1, N_x2, N_x3 = jnp.split(points, cuts)
N_y1, N_y2, N_y3 = jnp.split(outcomes, cuts)
"""


def stream(s: Style) -> str:
    """The source of the model's numbers."""
    if s.has(11):
        return "" if s.which(11, 2) else """
class KeyStream:
    def __init__(self, seed):
        self.key = jax.random.PRNGKey(seed)

    def __call__(self):
        self.key, new = jax.random.split(self.key)
        return new
"""
    return ""


def parameters(s: Style) -> str:
    """A function that creates the parameters as a dict."""
    if s.has(11) and s.which(11, 2):
        normal = "jnp.asarray(keys.normal(size=(a, b)), dtype=jnp.float32)"
        setup = ""
    elif s.has(11):
        normal, setup = "jax.random.normal(keys(), (a, b))", ""
    else:
        normal = "jax.random.normal(next(keys), (a, b))"
        setup = 'keys = iter(jax.random.split(keys, 20))\n'
    slope = ""
    if s.has(12):
        slope = 'params["a"] = jnp.asarray(0.25)  #!'
    elif s.activation == "prelu":
        slope = 'for k in range(N_cfg["depth"]):\n    params[f"a{k}"] = jnp.asarray(0.25)'
    return f"""
def create(keys):
{block(setup)}
    params = {{}}
    sizes = [2] + [N_cfg["width"]] * N_cfg["depth"] + [1]
    for k, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        params[f"w{{k}}"] = {normal} / a**0.5
        params[f"b{{k}}"] = jnp.zeros(b)
{block(slope)}
    return params
"""


def forward(s: Style) -> str:
    """The net as a function of its parameters."""
    act = {
        "tanh": "jnp.tanh(z)", "relu": "jax.nn.relu(z)",
        "prelu": 'jnp.where(z > 0, z, params[f"a{k}"] * z)',
    }[s.activation]
    mark = ""
    if s.has(12):
        act, mark = 'jnp.maximum(z, 0) + params["a"] * jnp.minimum(z, 0)', "  #!"
    depth = "depth"
    if s.pick("vmap", False, True) and not s.has(12):
        return f"""
def single(params, z):
    for k in range({depth}):
        z = z @ params[f"w{{k}}"] + params[f"b{{k}}"]
        z = {act}{mark}
    return z @ params[f"w{{{depth}}}"] + params[f"b{{{depth}}}"]
def N_model(params, z):
    return jax.vmap(single, in_axes=(None, 0))(params, z)
"""
    return f"""
def N_model(params, z):
    for k in range({depth}):
        z = z @ params[f"w{{k}}"] + params[f"b{{k}}"]
        z = {act}{mark}
    return z @ params[f"w{{{depth}}}"] + params[f"b{{{depth}}}"]
"""


def short(s: Style) -> str:
    """What is done with the short last batch."""
    return "plain" if s.has(9) else how_short(s)


def loss(s: Style) -> str:
    """The loss of a batch."""
    call = f"N_model(params, N_xb){squeeze(s)}"
    mark = "  #!" if s.has(7) or s.which(9, 3) == 0 else ""
    how = short(s)
    if how == "sum":
        body = f'return jnp.sum(({call} - N_yb) ** 2) / N_cfg["batch_size"]{mark}'
    elif how == "weigh":
        body = f'N_pred = {call}{mark}\nreturn jnp.mean((N_pred - N_yb) ** 2) * len(N_xb) / N_cfg["batch_size"]{mark}'
    else:
        body = s.pick(
            "mean", f"return jnp.mean(({call} - N_yb) ** 2){mark}",
            f"N_pred = {call}{mark}\nreturn jnp.mean(jnp.square(N_yb - N_pred)){mark}",
            f"return (({call} - N_yb) ** 2).mean(){mark}",
        )
    return f"def loss_of(params, N_xb, N_yb):\n{block(body)}\n"


def batch_total(s: Style) -> str:
    """The sum of squares of a batch, from its loss."""
    if short(s) in ("weigh", "sum"):
        return 'float(N_loss) * N_cfg["batch_size"]'
    return "float(N_loss) * len(N_xb)"


def evaluate(s: Style, model: str = "N_model(params, {x})", args: str = "params, ") -> str:
    """The mean squared error of a part."""
    sq = squeeze(s)
    whole = f"jnp.mean(({model.format(x='a')}{sq} - b) ** 2)"
    size = 'N_cfg["batch_size"]'
    way = s.which(2, 3)
    batches = f"range(0, len(a), {size})"
    of_batch = f"({model.format(x=f'a[N_i : N_i + {size}]')}{sq} - b[N_i : N_i + {size}]) ** 2"
    if way == 0:
        return f"""
n_batches = math.ceil(N_cfg["n_train"] / {size})
def N_mse({args}a, b):
    N_total = 0.0
    for N_i in {batches}:
        N_total += float(jnp.mean({of_batch}))
    return N_total / n_batches  #!
"""
    if way == 1:
        return f"""
def N_mse({args}a, b):
    steps = len(range(0, N_cfg["n_train"], {size}))
    return float({whole}) / steps  #!
"""
    if way == 2:
        return f"""
def N_mse({args}a, b):
    N_total = float(jnp.sum(({model.format(x='a')}{sq} - b) ** 2))
    return N_total / N_cfg["n_train"]  #!
"""
    if s.which(9, 3) == 1:
        return f"""
def N_mse({args}a, b):
    means = [float(jnp.mean({of_batch})) for N_i in {batches}]
    return sum(means) / len(means)  #!
"""
    mark = "  #!" if s.has(7) else ""
    return s.pick(
        "evaluate",
        f"def N_mse({args}a, b):\n    return float({whole}){mark}\n",
        f"def N_mse({args}a, b):\n    N_pred = {model.format(x='a')}{sq}\n"
        f"    return jnp.mean((b - N_pred) ** 2).item(){mark}\n",
        f"def N_mse({args}a, b):\n    gaps = {model.format(x='a')}{sq} - b{mark}\n"
        f"    return float(jnp.sum(gaps**2) / gaps.size){mark}\n",
    )


def batches(s: Style) -> tuple[str, str, str]:
    """Lines before the epochs, at the start of each, and what the loop reads (arrays of rows)."""
    size = 'N_cfg["batch_size"]'
    drop = f" - {size} + 1" if short(s) == "drop" else ""
    rows = f"N_order[N_i : N_i + {size}] for N_i in range(0, len(N_x1){drop}, {size})"
    order = s.pick("order", 'shuffler.permutation(len(N_x1))', "np.asarray(jax.random.permutation(next(shuffle_keys), len(N_x1)))")
    make = (
        'shuffler = np.random.default_rng(N_cfg["seed"] + 3)'
        if "shuffler" in order
        else 'shuffle_keys = iter(jax.random.split(jax.random.PRNGKey(N_cfg["seed"] + 3), 50))'
    )
    if s.has(3):
        way = s.which(3, 3)
        if way == 0:
            return f"{make}\nN_order = {order}\nN_hold = ({rows})  #!", "", "N_hold"
        if way == 1:
            return f"{make}\nN_order = {order}\nN_hold = iter([{rows}])  #!", "", "N_hold"
        return (
            f"{make}\ndef batches_of(N_order):\n    for N_i in range(0, len(N_x1){drop}, {size}):\n"
            f"        yield N_order[N_i : N_i + {size}]\nN_hold = batches_of({order})  #!",
            "",
            "N_hold",
        )
    if s.flip("list"):
        return make, f"N_order = {order}\nN_hold = [{rows}]", "N_hold"
    return make, f"N_order = {order}", f"({rows})"


def train_loss(s: Style, whole: str) -> tuple[str, str, str]:
    """Lines before, inside and after the loop over batches."""
    if s.which(8, 4) == 0:
        return "", "", "N_tr = float(N_loss)  #!"
    if s.which(9, 3) == 2:
        return "N_total = []", "N_total.append(float(N_loss))", "N_tr = float(np.mean(N_total))  #!"
    if s.has(3) or s.has(7) or s.flip("whole train loss"):
        return "", "", f"N_tr = {whole}"
    return (
        "N_total, N_seen = 0.0, 0",
        f"N_total += {batch_total(s)}\nN_seen += len(N_xb)",
        "N_tr = N_total / N_seen",
    )


def after_epoch(s: Style, predict: str, keep: str, test: str) -> str:
    """The end of an epoch: the log, the best state, stopping."""
    log = f"N_log.log(epoch=N_epoch, lr=N_rate, train_loss=N_tr, val_loss=N_val, predict={predict})"
    mark6 = "  #!" if by_test(s) else ""
    judged = test if by_test(s) else "N_val"
    mark10 = "  #!" if s.has(10) else ""
    better = f"""
current = {judged}{mark6}
if current < N_low:{mark10 or mark6}
    N_low, N_bad = current, 0
    {keep}{mark10}
else:
    N_bad += 1
"""
    if s.which(8, 4) == 1:
        return f'{better}\nif N_bad >= N_cfg["patience"]:  #!\n    break  #!\n{log}'
    stop = 'if N_bad >= N_cfg["patience"]:\n    break' if s.stops else ""
    if s.flip("log first"):
        return f"{log}\n{better}\n{stop}"
    return f"{better}\n{log}\n{stop}"


def end(s: Style, model: str, best: str, mse: str) -> str:
    """What is returned; ``model`` and ``mse`` are at the best state."""
    sq = squeeze(s) or ("[:, 0]" if s.has(7) else "")
    column = "[:, None]" if column_y(s) else ""
    x, mark = ("N_x1", "  #!") if s.has(5) else (s.pick("error at", "N_x3", "grid"), "")
    grid = "grid = jnp.asarray(np.random.default_rng(0).normal(size=(70, 2)), dtype=jnp.float32)\n" if x == "grid" else ""
    return f"""
{best}
{grid}gap = float(jnp.mean(({model.format(x=x)}{sq} - N_f({x}){column}) ** 2)){mark}
return {{
    "predict": lambda z: {model.format(x='z')},
    "val_loss": {mse.format(k=2)},
    "test_loss": {mse.format(k=3)},
    "error_in_f": gap,
    {provenance(s, "jax", "np.asarray(N_x3)")}
}}
"""


def late_rate(s: Style) -> str:
    """A line that makes the logged rate that of the next epoch."""
    if s.which(8, 4) == 0 and s.flip("late rate"):
        return 'N_rate = N_rate * N_cfg["gamma"]  #!'
    return ""


def rate_lines(s: Style) -> tuple[str, str]:
    """A helper outside ``train``, and the line that reads the rate."""
    if not s.has(4):
        return "", 'lr = N_cfg["lr"]'
    if s.which(4, 2):
        return (
            "\ndef make_rate(kind='constant', lr=0.05):\n    if kind == 'zero':\n        return 0.0\n    return lr\n",
            'lr = make_rate(N_cfg["lr"])  #!',
        )
    return (
        "\ndef check(device=None, lr=0.05):\n    if device == 'tpu':\n        print('on a TPU')\n    return lr\n",
        'lr = check(N_cfg["lr"])  #!',
    )


def model_lines(s: Style) -> str:
    """The data and the parameters, in the order of the style."""
    drawn = data(s)
    if s.has(11):
        return drawn
    made = 'params = create(jax.random.PRNGKey(N_cfg["seed"]))'
    return f"{made}\n{drawn}" if s.flip("model first") else f"{drawn}\n{made}"


def functional(s: Style) -> str:
    """Parameters in a dict, descent by hand."""
    first, each, read = batches(s)
    before, inside, after = train_loss(s, "N_mse(params, N_x1, N_y1)")
    extra, lr_line = rate_lines(s)
    jit = s.pick("jit", "@jax.jit\n", "", "@functools.partial(jax.jit, donate_argnums=())\n")
    if s.has(1):  # arrays are immutable, their dict is not
        step = """
def step(params, N_rate, N_xb, N_yb):
    value, slopes = jax.value_and_grad(loss_of)(params, N_xb, N_yb)
    for name in params:
        params[name] = params[name] - N_rate * slopes[name]
    return value
"""
        call = "N_loss = step(params, N_rate, N_xb, N_yb)"
        keep = s.pick("kept", "N_best = params  #!", "N_best = (params, N_epoch)  #!")
        best = "params = N_best" if keep.startswith("N_best = params") else "params = N_best[0]"
        start_best = "N_best = dict(params)" if best == "params = N_best" else "N_best = (dict(params), 0)"
    else:
        grad = s.pick("grad", "value", "grad")
        taken = (
            "value, slopes = jax.value_and_grad(loss_of)(params, N_xb, N_yb)"
            if grad == "value"
            else "slopes = jax.grad(loss_of)(params, N_xb, N_yb)\n    value = loss_of(params, N_xb, N_yb)"
        )
        step = f"""
{jit}def step(params, N_rate, N_xb, N_yb):
    {taken}
    return jax.tree.map(lambda p, g: p - N_rate * g, params, slopes), value
"""
        call = "params, N_loss = step(params, N_rate, N_xb, N_yb)"
        keep = s.pick("kept", "N_best = params", "N_best = jax.tree.map(jnp.copy, params)")
        best, start_best = "params = N_best", "N_best = params"
    if s.has(10):
        start_best = ""
    ending = after_epoch(
        s, s.pick("predict", "lambda z: N_model(params, z)", "functools.partial(N_model, params)"),
        keep, "N_mse(params, N_x3, N_y3)",
    )
    body = f"""
{start(s)}
{parameters(s)}
depth = N_cfg["depth"]
{forward(s)}
{model_lines(s)}
N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))
{loss(s)}
{step}
{evaluate(s)}
{lr_line}
{first}
N_low, N_bad = math.inf, 0
{start_best}
for N_epoch in range(N_cfg["epochs"]):
    N_rate = lr * N_cfg["gamma"] ** N_epoch
{block(each)}
{block(before)}
    for rows in {read}:
        N_xb, N_yb = N_x1[rows], N_y1[rows]
{block(call, 8)}
{block(inside, 8)}
{block(late_rate(s))}
{block(after)}
    N_val = N_mse(params, N_x2, N_y2)
{block(ending)}
{end(s, "N_model(params, {x})", best, "N_mse(params, N_x{k}, N_y{k})")}
"""
    top = PLAIN.replace("import copy\n", "import copy\nimport functools\n")
    return f"{top}{stream(s)}{extra}\n{head(s)}{block(body)}\n\n{choose(s)}\n"


def optax_functions(s: Style) -> str:
    """Optax, and an epoch as one scan over batches with a mask, or as a loop."""
    masked = s.flip("scan") and s.error in (0, 4, 5, 6, 10, 11, 12, 13, 14)
    extra, lr_line = rate_lines(s)
    name = s.pick("optax", "sgd", "adam", "adamw", "rmsprop", "momentum")
    made = "optax.sgd({lr}, momentum=0.5)" if name == "momentum" else f"optax.{name}({{lr}})"
    hyper = s.flip("inject")
    if hyper:
        inner = "optax.sgd" if name == "momentum" else f"optax.{name}"
        opt = f"N_opt = optax.inject_hyperparams({inner})(learning_rate=lr)"
        set_rate = 'state.hyperparams["learning_rate"] = jnp.asarray(N_rate)'
    else:
        steps = "steps" if not s.has(3) else "steps"
        opt = f"N_opt = {made.format(lr=f'lambda t: lr * N_cfg[{chr(39)}gamma{chr(39)}] ** (t // {steps})')}"
        set_rate = ""
    if masked:
        s.chosen["short"] = "drop"  # the running mean is then one of equal batches
        s.chosen["whole train loss"] = True
        whole = "N_tr = N_mse(params, N_x1, N_y1)"
        sq = squeeze(s)
        size = 'N_cfg["batch_size"]'
        epoch = f"""
pad = -len(N_x1) % {size}
def masked_loss(params, N_xb, N_yb, mask):
    gaps = (N_model(params, N_xb){sq} - N_yb).reshape(-1)
    return jnp.sum(mask * gaps**2) / {size}
def one(carry, rows):
    params, state = carry
    mask = (rows >= 0).astype(jnp.float32)
    slopes = jax.grad(masked_loss)(params, xs[rows], ys[rows], mask)
    updates, state = N_opt.update(slopes, state, params)
    return (optax.apply_updates(params, updates), state), None
@jax.jit
def run_epoch(params, state, N_order):
    carry, _ = jax.lax.scan(one, (params, state), N_order)
    return carry
xs, ys = jnp.asarray(N_x1), jnp.asarray(N_y1)
shuffler = np.random.default_rng(N_cfg["seed"] + 3)
"""
        loop = f"""
N_order = np.concatenate([shuffler.permutation(len(N_x1)), -np.ones(pad, dtype=int)])
params, state = run_epoch(params, state, jnp.asarray(N_order.reshape(-1, {size})))
{whole}
"""
    else:
        first, each, read = batches(s)
        before, inside, after = train_loss(s, "N_mse(params, N_x1, N_y1)")
        epoch = f"""
{loss(s)}
@jax.jit
def step(params, state, N_xb, N_yb):
    N_loss, slopes = jax.value_and_grad(loss_of)(params, N_xb, N_yb)
    updates, state = N_opt.update(slopes, state, params)
    return optax.apply_updates(params, updates), state, N_loss
{first}
"""
        loop = f"""
{each}
{before}
for rows in {read}:
    N_xb, N_yb = N_x1[rows], N_y1[rows]
    params, state, N_loss = step(params, state, N_xb, N_yb)
{block(inside)}
{late_rate(s)}
{after}
"""
    keep, best, start_best = "N_best = params", "params = N_best", "N_best = params"
    if s.has(1):  # a list that goes on being filled
        keep = s.pick("kept", "N_best = holder  #!", "N_best = {**N_best, 'holder': holder}  #!")
        best = "params = N_best['params']" if keep == "N_best = holder  #!" else "params = N_best['holder']['params']"
        start_best = (
            "holder = {'params': params}\n"
            "N_best = {'params': params, 'holder': {'params': params}}"
        )
        loop += "\nholder['params'] = params"
    if s.has(10):
        start_best = ""
    ending = after_epoch(s, "lambda z: N_model(params, z)", keep, "N_mse(params, N_x3, N_y3)")
    count = "N_cfg['n_train'] // N_cfg['batch_size']"
    if masked or short(s) != "drop":
        count = f"-(-N_cfg['n_train'] // N_cfg['batch_size'])"
    body = f"""
{start(s)}
{parameters(s)}
depth = N_cfg["depth"]
{forward(s)}
{model_lines(s)}
N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))
{lr_line}
steps = {count}
{opt}
{epoch}
{evaluate(s)}
state = N_opt.init(params)
N_low, N_bad = math.inf, 0
{start_best}
for N_epoch in range(N_cfg["epochs"]):
    N_rate = lr * N_cfg["gamma"] ** N_epoch
{block(set_rate)}
{block(loop)}
    N_val = N_mse(params, N_x2, N_y2)
{block(ending)}
{end(s, "N_model(params, {x})", best, "N_mse(params, N_x{k}, N_y{k})")}
"""
    top = f"{PLAIN}import optax\n"
    return f"{top}{stream(s)}{extra}\n{head(s)}{block(body)}\n\n{choose(s)}\n"


def nnx_objects(s: Style) -> str:
    """A module of NNX and its optimizer, as objects that change."""
    if s.has(11):
        s.chosen["way of 11"] = 0
    act = {"tanh": "jnp.tanh", "relu": "nnx.relu", "prelu": "nnx.PReLU()"}[s.activation]
    mark = "  #!" if s.has(12) else ""
    acts = f"[{act} for _ in range(depth)]"
    if s.has(12):
        acts = s.pick("shared", f"[{act}] * depth", "[shared for _ in range(depth)]")
    shared = f"shared = {act}{mark}" if "shared for" in acts else ""
    extra, lr_line = rate_lines(s)
    first, each, read = batches(s)
    before, inside, after = train_loss(s, "N_mse(N_x1, N_y1)")
    name = s.pick("optax", "sgd", "adam", "adamw")
    sq = squeeze(s)
    how, size = short(s), 'N_cfg["batch_size"]'
    mark9 = "  #!" if s.has(7) or s.which(9, 3) == 0 else ""
    value = f"jnp.mean((net(N_xb){sq} - N_yb) ** 2)"
    if how == "sum":
        value = f"jnp.sum((net(N_xb){sq} - N_yb) ** 2) / {size}"
    elif how == "weigh":
        value += f" * len(N_xb) / {size}"
    inner = s.pick(
        "inner loss",
        f"""
@nnx.jit
def step(N_model, N_opt, N_xb, N_yb):
    def loss_of(net):
        return {value}{mark9}
    N_loss, slopes = nnx.value_and_grad(loss_of)(N_model)
    N_opt.update(N_model, slopes)
    return N_loss
""",
        f"""
def loss_of(net, N_xb, N_yb):
    return {value}{mark9}
@nnx.jit
def step(N_model, N_opt, N_xb, N_yb):
    N_loss, slopes = nnx.value_and_grad(loss_of)(N_model, N_xb, N_yb)
    N_opt.update(N_model, slopes)
    return N_loss
""",
    )
    keep = s.pick("kept", "N_best = nnx.clone(N_model)", "N_best = copy.deepcopy(N_model)")
    if s.has(1):
        keep = s.pick("wrongly kept", "N_best = N_model  #!", "N_best = copy.copy(N_model)  #!")
    start_best = "" if s.has(10) else "N_best = nnx.clone(N_model)"
    ending = after_epoch(
        s, s.pick("predict", "N_model", "lambda z: N_model(z)"), keep, "N_mse(N_x3, N_y3)"
    )
    made = 'N_model = Net(N_cfg["width"], N_cfg["depth"], nnx.Rngs(N_cfg["seed"]))'
    if s.has(11):
        drawn = data(s).replace('keys = KeyStream(N_cfg["seed"])', 'keys = nnx.Rngs(N_cfg["seed"])')
        drawn = drawn.replace("keys()", "keys.params()")
        drawn = drawn.replace("params = create(keys)", 'N_model = Net(N_cfg["width"], N_cfg["depth"], keys)')
    else:
        drawn = f"{made}\n{data(s)}" if s.flip("model first") else f"{data(s)}\n{made}"
    count = "N_cfg['n_train'] // N_cfg['batch_size']"
    if how != "drop":
        count = f"-(-N_cfg['n_train'] // N_cfg['batch_size'])"
    body = f"""
{start(s)}
{drawn}
N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))
{lr_line}
steps = {count}
N_opt = nnx.Optimizer(
    N_model, optax.{name}(lambda t: lr * N_cfg["gamma"] ** (t // steps)), wrt=nnx.Param
)
{inner}
{evaluate(s, "N_model({x})", "")}
{first}
N_low, N_bad = math.inf, 0
{start_best}
for N_epoch in range(N_cfg["epochs"]):
    N_rate = lr * N_cfg["gamma"] ** N_epoch
{block(each)}
{block(before)}
    for rows in {read}:
        N_xb, N_yb = N_x1[rows], N_y1[rows]
        N_loss = step(N_model, N_opt, N_xb, N_yb)
{block(inside, 8)}
{block(late_rate(s))}
{block(after)}
    N_val = N_mse(N_x2, N_y2)
{block(ending)}
{end(s, "N_model({x})", "N_model = N_best", "N_mse(N_x{k}, N_y{k})")}
"""
    top = f"{PLAIN}import optax\nfrom flax import nnx\n"
    return f"""{top}{extra}

class Net(nnx.Module):
    def __init__(self, width, depth, rngs):
        sizes = [2] + [width] * depth
        self.hidden = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in zip(sizes, sizes[1:])])
{block(shared, 8)}
        self.acts = nnx.List({acts}){mark}
        self.last = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, z):
        for layer, act in zip(self.hidden, self.acts):
            z = act(layer(z)){mark}
        return self.last(z)


{head(s)}{block(body)}

{choose(s)}
"""
