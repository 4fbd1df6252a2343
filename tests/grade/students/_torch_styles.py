"""Programs in PyTorch: with loaders, as classes, and by hand."""

from __future__ import annotations

from students._shared import IMPORTS, Style, block, by_test, choose, head, how_short, provenance, start


def data(s: Style) -> str:
    """Draw the three parts."""
    if s.has(11):
        return ""
    gen = "torch.Generator().manual_seed(N_cfg['seed'] + 1)"
    column = ".reshape(-1, 1)" if column_y(s) else ""
    if s.pick("draw", "helper", "inline", "numpy") == "helper":
        return f"""
gen = {gen}
def N_sample(n):
    points = torch.rand(n, 2, generator=gen) * 2 - 1
    noise = N_cfg["noise"] * torch.randn(n, generator=gen)
    return points, (N_f(points) + noise){column}
N_x1, N_y1 = N_sample(N_cfg["n_train"])
N_x2, N_y2 = N_sample(N_cfg["n_val"])
N_x3, N_y3 = N_sample(N_cfg["n_test"])
"""
    if s.chosen["draw"] == "inline":
        lines = [f"gen = {gen}"]
        for k, part in ((1, "train"), (2, "val"), (3, "test")):
            lines += [
                f'N_x{k} = torch.randn(N_cfg["n_{part}"], 2, generator=gen)',
                f'N_y{k} = N_f(N_x{k}) + N_cfg["noise"] * torch.randn(len(N_x{k}), generator=gen)',
            ]
            if column:
                lines.append(f"N_y{k} = N_y{k}{column}")
        return "\n".join(lines)
    return f"""
rng = np.random.default_rng(N_cfg["seed"])
n = N_cfg["n_train"] + N_cfg["n_val"] + N_cfg["n_test"]
points = rng.uniform(-1.5, 1.5, size=(n, 2)).astype("float32")
outcomes = (N_f(points) + N_cfg["noise"] * rng.normal(size=n)).astype("float32")
cuts = [N_cfg["n_train"], N_cfg["n_train"] + N_cfg["n_val"]]
N_x1, N_x2, N_x3 = (torch.tensor(part) for part in np.split(points, cuts))
N_y1, N_y2, N_y3 = (torch.tensor(part){column} for part in np.split(outcomes, cuts))
"""


def data_after_model(s: Style) -> str:
    """Error 11: the test part is drawn from the stream that drew the model."""
    if not s.has(11):
        return ""
    column = ".reshape(-1, 1)" if column_y(s) else ""
    own = s.flip("only the test part")
    lines = ["gen = torch.Generator().manual_seed(N_cfg['seed'] + 1)"]
    for k, part in ((1, "train"), (2, "val"), (3, "test")):
        if own and part != "test":
            draw, mark = ", generator=gen", ""
        else:
            draw, mark = "", "  #!"
        lines += [
            f'N_x{k} = torch.randn(N_cfg["n_{part}"], 2{draw}){mark}',
            f'N_y{k} = (N_f(N_x{k}) + N_cfg["noise"] * torch.randn(len(N_x{k}){draw})){column}{mark}',
        ]
    return "\n".join(lines)


def column_y(s: Style) -> bool:
    """Whether outcomes have shape (n, 1)."""
    return not s.has(7) and s.flip("column")


def squeeze(s: Style) -> str:
    """What makes predictions of shape (n, 1) those of the outcomes."""
    return "" if column_y(s) else s.pick("squeeze", ".squeeze(-1)", "[:, 0]", ".flatten()")


def net(s: Style) -> str:
    """A function that builds the net."""
    act = {"tanh": "nn.Tanh()", "relu": "nn.ReLU()", "prelu": "nn.PReLU()"}[s.activation]
    if s.has(12):
        if s.which(12, 2):
            return f"""
def build(width, depth, act=None):
    act = act or {act}  #!
    layers = [nn.Linear(2, width), act]  #!
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), act]  #!
    layers.append(nn.Linear(width, 1))
    return nn.Sequential(*layers)
"""
        return f"""
def build(width, depth):
    net = nn.Sequential()
    act = {act}  #!
    for k in range(depth):
        net.add_module(f"linear {{k}}", nn.Linear(2 if k == 0 else width, width))
        net.add_module(f"activation {{k}}", act)  #!
    net.add_module("output", nn.Linear(width, 1))
    return net
"""
    return s.pick(
        "net",
        f"""
def build(width, depth):
    layers = [nn.Linear(2, width), {act}]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), {act}]
    return nn.Sequential(*layers, nn.Linear(width, 1))
""",
        f"""
class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        sizes = [2] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.acts = nn.ModuleList({act} for _ in range(depth))
        self.last = nn.Linear(width, 1)

    def forward(self, z):
        for layer, act in zip(self.hidden, self.acts):
            z = act(layer(z))
        return self.last(z)

def build(width, depth):
    return Net(width, depth)
""",
    )


def optimizer(s: Style) -> str:
    """The constructor of an optimizer."""
    return s.pick(
        "optimizer",
        "torch.optim.SGD({params}, lr={lr})",
        "torch.optim.SGD({params}, lr={lr}, momentum=0.5)",
        "torch.optim.Adam({params}, lr={lr})",
        "torch.optim.AdamW({params}, lr={lr}, weight_decay=0.001)",
        "torch.optim.RMSprop({params}, lr={lr})",
        "torch.optim.Adagrad({params}, lr={lr})",
    )


def loss_lines(s: Style) -> str:
    """The loss of a batch."""
    sq = "" if s.has(7) else squeeze(s)
    mark = "  #!" if s.has(7) or s.has(9) and s.which(9, 3) == 0 else ""
    drop = "plain" if s.has(9) else how_short(s)
    pred = f"N_model(N_xb){sq}"
    if s.has(7):
        return f"N_loss = ((N_model(N_xb) - N_yb) ** 2).mean()  #!" if s.flip("own square") else (
            "N_loss = nn.functional.mse_loss(N_model(N_xb), N_yb)  #!"
        )
    if drop == "sum":
        return f'N_loss = (({pred} - N_yb) ** 2).sum() / N_cfg["batch_size"]'
    mean = s.pick("mean", f"nn.functional.mse_loss({pred}, N_yb)", f"(({pred} - N_yb) ** 2).mean()",
                  f"nn.MSELoss()({pred}, N_yb)")
    if drop == "weigh":
        return f'N_loss = {mean} * len(N_xb) / N_cfg["batch_size"]'
    return f"N_loss = {mean}{mark}"


def drops(s: Style) -> bool:
    """Whether the short batch is left out."""
    return not s.has(9) and how_short(s) == "drop"


def batch_mean(s: Style) -> str:
    """The sum of squares of a batch, from its loss."""
    if not s.has(9) and s.chosen.get("short") in ("weigh", "sum"):
        return 'N_loss.item() * N_cfg["batch_size"]'
    return "N_loss.item() * len(N_xb)"


def evaluate(s: Style) -> str:
    """The mean squared error of a part."""
    sq = squeeze(s)
    if s.which(2, 3) >= 0:
        way = s.which(2, 3)
        if way == 0:
            body = """
    N_total = 0.0
    for N_i in range(0, len(a), N_cfg["batch_size"]):
        N_pred = N_model(a[N_i : N_i + N_cfg["batch_size"]])SQ
        N_total += nn.functional.mse_loss(N_pred, b[N_i : N_i + N_cfg["batch_size"]]).item()
    return N_total / n_batches  #!
"""
        elif way == 1:
            body = "    return ((N_model(a)SQ - b) ** 2).mean().item() / n_batches  #!\n"
        else:
            body = '    return ((N_model(a)SQ - b) ** 2).sum().item() / N_cfg["n_train"]  #!\n'
        text = f"@torch.no_grad()\ndef N_mse(a, b):{body if body.startswith(chr(10)) else chr(10) + body}"
        count = 'n_batches = math.ceil(N_cfg["n_train"] / N_cfg["batch_size"])\n'
        return count + text.replace("SQ", sq)
    if s.which(9, 3) == 1:
        return f"""
def N_mse(a, b):
    with torch.no_grad():
        parts = zip(a.split(N_cfg["batch_size"]), b.split(N_cfg["batch_size"]))
        means = [((N_model(p){sq} - q) ** 2).mean() for p, q in parts]
    return torch.stack(means).mean().item()  #!
"""
    if s.which(7, 2) == 1:
        return """
def N_mse(a, b):
    with torch.no_grad():
        return ((N_model(a) - b) ** 2).mean().item()  #!
"""
    return s.pick(
        "evaluate",
        f"""
def N_mse(a, b):
    with torch.no_grad():
        return ((N_model(a){sq} - b) ** 2).mean().item()
""",
        f"""
@torch.no_grad()
def N_mse(a, b):
    N_total = 0.0
    for N_i in range(0, len(a), N_cfg["batch_size"]):
        N_pred = N_model(a[N_i : N_i + N_cfg["batch_size"]]){sq}
        N_total += ((N_pred - b[N_i : N_i + N_cfg["batch_size"]]) ** 2).sum().item()
    return N_total / len(a)
""",
        f"""
def N_mse(a, b):
    N_model.eval()
    with torch.inference_mode():
        N_pred = N_model(a){sq}
    N_model.train()
    return float(nn.functional.mse_loss(N_pred, b))
""",
    )


def keep(s: Style) -> str:
    """Keep the best state."""
    if s.has(1):
        return s.pick(
            "kept", "N_best = N_model.state_dict()  #!", "N_best = dict(N_model.state_dict())  #!",
            "N_best = N_model.state_dict().copy()  #!", "N_best = copy.copy(N_model.state_dict())  #!",
        )
    return s.pick(
        "kept", "N_best = copy.deepcopy(N_model.state_dict())",
        "N_best = {name: value.clone() for name, value in N_model.state_dict().items()}",
    )


def end(s: Style, digest: str = "N_x3.numpy()") -> str:
    """Load the best, and return."""
    sq = squeeze(s)
    fx = f"N_f(N_x3){'.reshape(-1, 1)' if column_y(s) else ''}"
    if s.has(5):
        fx1 = f"N_f(N_x1){'.reshape(-1, 1)' if column_y(s) else ''}"
        error = f"gap = ((N_model(N_x1){sq} - {fx1}) ** 2).mean().item()  #!"
    elif s.flip("fresh points"):
        column = ".reshape(-1, 1)" if column_y(s) else ""
        error = (
            "grid = torch.linspace(-1, 1, 80).reshape(-1, 2)\n"
            f"    gap = ((N_model(grid){sq} - N_f(grid){column}) ** 2).mean().item()"
        )
    else:
        error = f"gap = ((N_model(N_x3){sq} - {fx}) ** 2).mean().item()"
    return f"""
N_model.load_state_dict(N_best)
with torch.no_grad():
    {error}
return {{
    "predict": N_model,
    "val_loss": N_mse(N_x2, N_y2),
    "test_loss": N_mse(N_x3, N_y3),
    "error_in_f": gap,
    {provenance(s, "torch", digest)}
}}
"""


def after_epoch(s: Style, inner: str, rate: str = "N_rate") -> str:
    """The end of an epoch: losses, the log, the best state, stopping."""
    way = s.which(8, 4)
    log = f"""N_log.log({{
    "epoch": N_epoch,
    "lr": {rate},
    "train_loss": N_tr,
    "val_loss": N_val,
    "predict": {s.pick("predict", "N_model", "lambda z: N_model(z)")},
}})"""
    judged = "N_val"
    if by_test(s):
        judged = "N_mse(N_x3, N_y3)"
    mark6 = "  #!" if by_test(s) else ""
    better = f"""
current = {judged}{mark6}
if current < N_low:{'  #!' if s.has(10) else mark6}
    N_low = current
    N_bad = 0
    {keep(s)}{'  #!' if s.has(10) else ''}
else:
    N_bad += 1
"""
    stop = 'if N_bad >= N_cfg["patience"]:\n    break'
    if way == 1:
        stop = 'if N_bad >= N_cfg["patience"]:  #!\n    break  #!'
        tail = f"{better}\n{stop}\n{log}"
    elif s.stops:
        tail = f"{log}\n{better}\n{stop}" if s.flip("log first") else f"{better}\n{log}\n{stop}"
    else:
        tail = f"{log}\n{better}" if s.flip("log first") else f"{better}\n{log}"
    return f"{inner}\n{tail}"


def initial_best(s: Style) -> str:
    """The state before any epoch."""
    if s.has(10):
        return "N_low = math.inf\nN_bad = 0"
    if s.has(1):
        return "N_low = math.inf\nN_bad = 0\nN_best = copy.deepcopy(N_model.state_dict())"
    return f"N_low = math.inf\nN_bad = 0\n{keep(s)}"


def train_loss(s: Style) -> tuple[str, str, str]:
    """Lines before, inside and after the loop over batches."""
    if s.which(8, 4) == 0:
        return "", "", "N_tr = N_loss.item()  #!"
    if s.which(9, 3) == 2:
        return "N_total = []", "N_total.append(N_loss.item())", "N_tr = sum(N_total) / len(N_total)  #!"
    if s.has(3) or s.has(7) or s.pick("train loss", "all", "running") == "all":
        return "", "", "N_tr = N_mse(N_x1, N_y1)"
    return (
        "N_total, N_seen = 0.0, 0",
        f"N_total += {batch_mean(s)}\nN_seen += len(N_xb)",
        "N_tr = N_total / N_seen",
    )


def schedule(s: Style) -> tuple[str, str, str]:
    """Lines that make the schedule, begin an epoch, and end it; ``N_rate`` is the rate."""
    gamma = 'N_cfg["gamma"]'
    late = s.which(8, 4) == 0 and s.flip("late rate")
    if late:
        s.chosen["schedule"] = "scheduler"
    if s.pick("schedule", "scheduler", "groups", "lambda") == "groups":
        return (
            "",
            f'N_rate = N_cfg["lr"] * {gamma} ** N_epoch\nfor group in N_opt.param_groups:\n'
            '    group["lr"] = N_rate',
            "",
        )
    make = (
        f"scheduler = torch.optim.lr_scheduler.ExponentialLR(N_opt, {gamma})"
        if s.chosen["schedule"] == "scheduler"
        else f"scheduler = torch.optim.lr_scheduler.LambdaLR(N_opt, lambda e: {gamma} ** e)"
    )
    if late:
        return make, "", "scheduler.step()\nN_rate = scheduler.get_last_lr()[0]  #!"
    return make, "N_rate = scheduler.get_last_lr()[0]", "scheduler.step()"


def loader(s: Style) -> tuple[str, str]:
    """Lines that make the batches, and what the loop reads."""
    drop = ", drop_last=True" if drops(s) else ""
    size = 'N_cfg["batch_size"]'
    if s.has(3):
        way = s.which(3, 3)
        if way == 0:
            made = f"N_hold = ((N_x1[j], N_y1[j]) for j in N_order.split({size}))  #!"
            return f"N_order = torch.randperm(len(N_x1))\n{made}", "N_hold"
        if way == 1:
            inner = f"DataLoader(TensorDataset(N_x1, N_y1), {size}, shuffle=True{drop})"
            return f"N_hold = iter({inner})  #!", "N_hold"
        return f"N_hold = zip(N_x1.split({size}), N_y1.split({size}))  #!", "N_hold"
    inner = f"TensorDataset(N_x1, N_y1), batch_size={size}, shuffle=True{drop}"
    return f"N_hold = DataLoader({inner})", "N_hold"


TOP = (
    f"{IMPORTS}\n\nimport numpy as np\nimport torch\nfrom torch import nn\n"
    "from torch.utils.data import DataLoader, TensorDataset\n"
)


def data_loader(s: Style) -> str:
    """One function with a DataLoader and an optimizer of the library."""
    before, inside, after = train_loss(s)
    make, begin, done = schedule(s)
    batches, read = loader(s)
    lr = 'N_cfg["lr"]'
    extra, widen = "", ""
    opt = f"N_opt = {optimizer(s).format(params='N_model.parameters()', lr=lr)}"
    if s.has(4):
        made = optimizer(s).format(params="model.parameters()", lr="lr")
        extra = (
            "\ndef prepare(model, z, device='cpu', lr=0.05):\n"
            f"    return z.to(device).to(torch.float32), {made}\n"
        )
        opt = f"N_x1, N_opt = prepare(N_model, N_x1, {lr})  #!"
        if s.flip("wide"):  # as the lectures' own: all becomes float64
            extra = extra.replace(".to(torch.float32)", "")
            widen = "N_model.double()\nN_y1, N_x2, N_y2 = N_y1.double(), N_x2.double(), N_y2.double()\nN_x3, N_y3 = N_x3.double(), N_y3.double()"
    told = "N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))"
    step = s.pick(
        "zero first",
        "N_opt.zero_grad()\n{loss}\nN_loss.backward()\nN_opt.step()",
        "{loss}\nN_opt.zero_grad(set_to_none=True)\nN_loss.backward()\nN_opt.step()",
        "{loss}\nN_loss.backward()\nN_opt.step()\nN_opt.zero_grad()",
    ).format(loss=loss_lines(s))
    body = f"""
{start(s)}
{data(s)}
torch.manual_seed(N_cfg["seed"])
N_model = build(N_cfg["width"], N_cfg["depth"])
{data_after_model(s)}
{opt}
{widen}
{told}
{make}
{batches}
{evaluate(s)}
{initial_best(s)}
for N_epoch in range(N_cfg["epochs"]):
{block(begin)}
{block(before)}
    for N_xb, N_yb in {read}:
{block(step, 8)}
{block(inside, 8)}
{block(done)}
{block(after_epoch(s, after + chr(10) + "N_val = N_mse(N_x2, N_y2)"))}
{end(s)}
"""
    if widen:
        body = body.replace("N_f(grid)", "N_f(grid.double())").replace("N_model(grid)", "N_model(grid.double())")
    return f"{TOP}\n{net(s)}\n{extra}\n{head(s)}{block(body)}\n\n{choose(s)}\n"


def classes(s: Style) -> str:
    """A trainer class with methods, and batches by hand."""
    before, inside, after = train_loss(s)
    lr = 'N_cfg["lr"]'
    made = optimizer(s)
    move = ""
    if s.has(4):
        fit_head = "def fit(self, log, device=None, lr=0.05):"
        call = f"trainer.fit(N_log, {lr})  #!"
        move = "if device is not None:\n    N_x1 = N_x1.to(device).float()"
    else:
        fit_head = s.pick("fit head", "def fit(self, log, lr, device=None):", "def fit(self, log, lr):")
        call = s.pick("fit call", f"trainer.fit(N_log, {lr})", f"trainer.fit(N_log, lr={lr})")
    size = 'N_cfg["batch_size"]'
    drop = f'[: N_cfg["n_train"] // {size} * {size}]' if drops(s) else ""
    order = f"N_order = torch.randperm(len(N_x1)){drop}"
    once, each = "", f"{order}\nN_hold = N_order.split({size})"
    if s.has(3):
        once, each = f"{order}\nN_hold = (one for one in N_order.split({size}))  #!", ""
        if s.which(3, 2):
            once = f"{order}\nN_hold = iter(N_order.split({size}))  #!"
    late = s.which(8, 4) == 0 and s.flip("late rate")
    rate = (
        'N_rate = lr * N_cfg["gamma"] ** N_epoch\nfor group in N_opt.param_groups:\n'
        '    group["lr"] = N_rate'
    )
    done = 'N_rate = N_rate * N_cfg["gamma"]  #!' if late else ""
    body = f"""
N_cfg, N_model = self.config, self.model
(N_x1, N_y1), (N_x2, N_y2), (N_x3, N_y3) = self.parts
N_log = log
N_mse = self.loss_of
{move}
N_opt = {made.format(params="N_model.parameters()", lr="lr")}
{once}
{initial_best(s)}
for N_epoch in range(N_cfg["epochs"]):
{block(rate)}
{block(each)}
{block(before)}
    for rows in N_hold:
        N_xb, N_yb = N_x1[rows], N_y1[rows]
{block(loss_lines(s), 8)}
        N_opt.zero_grad()
        N_loss.backward()
        N_opt.step()
{block(inside, 8)}
{block(done)}
{block(after_epoch(s, after + chr(10) + "N_val = N_mse(N_x2, N_y2)"))}
return N_best
"""
    method = evaluate(s).strip("\n").replace("def N_mse(a, b)", "def loss_of(self, a, b)")
    if method.startswith("n_batches"):
        _, method = method.split("\n", 1)
        method = method.replace("n_batches", 'math.ceil(N_cfg["n_train"] / N_cfg["batch_size"])')
    lines = method.strip("\n").split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1
    lines.insert(at, "    N_cfg, N_model = self.config, self.model")
    method = "\n".join(lines)
    main = f"""
{start(s)}
{data(s)}
torch.manual_seed(N_cfg["seed"])
N_model = build(N_cfg["width"], N_cfg["depth"])
{data_after_model(s)}
N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))
trainer = Trainer(N_model, N_cfg, [(N_x1, N_y1), (N_x2, N_y2), (N_x3, N_y3)])
N_best = {call}
N_mse = trainer.loss_of
{end(s)}
"""
    return f"""{TOP}
{net(s)}

class Trainer:
    def __init__(self, model, config, parts):
        self.model, self.config, self.parts = model, config, parts

{block(method)}

    {fit_head}
{block(body, 8)}

{head(s)}{block(main)}

{choose(s)}
"""


def _descent(s: Style) -> str:
    """Gradients, and the step along them."""
    update = "p -= N_rate * g"
    if s.flip("momentum"):
        update = "velocity[name] = 0.5 * velocity[name] + g\np -= N_rate * velocity[name]"
    return s.pick(
        "grads",
        f"""
grads = torch.autograd.grad(N_loss, list(params.values()))
with torch.no_grad():
    for (name, p), g in zip(params.items(), grads):
{block(update, 8)}
""",
        f"""
N_loss.backward()
with torch.no_grad():
    for name, p in params.items():
        g = p.grad
{block(update, 8)}
        p.grad = None
""",
    )


def by_hand(s: Style) -> str:
    """Tensors and descent by hand, without nn.Module."""
    before, inside, after = train_loss(s)
    act = {
        "tanh": "torch.tanh(z)",
        "relu": "torch.relu(z)",
        "prelu": 'torch.where(z > 0, z, params[f"a{k}"] * z)',
    }[s.activation]
    slopes, mark = 'params[f"a{k}"] = torch.full((1,), 0.25)', ""
    if s.has(12):
        act, mark = 'torch.where(z > 0, z, params["a"] * z)', "  #!"
        slopes = 'params["a"] = torch.full((1,), 0.25)  #!'
    slopes = slopes if s.activation == "prelu" else "pass"
    lr = 'N_cfg["lr"]'
    extra, lr_line = "", f"lr = {lr}"
    if s.has(4):
        extra = (
            "\ndef get_rate(verbose=0, lr=0.05):\n    if verbose > 1:\n        print(lr)\n"
            "    return lr\n"
        )
        lr_line = f"lr = get_rate({lr})  #!"
    copied = "N_best = {name: p.detach().clone() for name, p in params.items()}"
    s.chosen["kept"] = copied
    if s.has(1):
        del s.chosen["kept"]
        ways = ("N_best = params  #!", "N_best = dict(params)  #!", "N_best = params.copy()  #!")
        s.pick("kept", *ways)
    size = 'N_cfg["batch_size"]'
    drop = f" - {size} + 1" if drops(s) else ""
    rows = f"N_order[N_i : N_i + {size}] for N_i in range(0, len(N_x1){drop}, {size})"
    once, each = "", f"N_order = torch.randperm(len(N_x1))\nN_hold = [{rows}]"
    if s.has(3):
        once, each = f"N_order = torch.randperm(len(N_x1))\nN_hold = ({rows})  #!", ""
        if s.which(3, 2):
            once = f"N_order = torch.randperm(len(N_x1))\nN_hold = map(lambda j: j, N_order.split({size}))  #!"
    late = s.which(8, 4) == 0 and s.flip("late rate")
    done = 'N_rate *= N_cfg["gamma"]  #!' if late else ""
    ending = end(s).replace("N_model.load_state_dict(N_best)\n", "params.update(N_best)\n")
    first = "N_low = math.inf\nN_bad = 0" + ("" if s.has(10) else f"\n{copied}")
    body = f"""
{start(s)}
{data(s)}
torch.manual_seed(N_cfg["seed"])
params = {{}}
for k in range(N_cfg["depth"]):
    rows_in = 2 if k == 0 else N_cfg["width"]
    params[f"w{{k}}"] = torch.randn(rows_in, N_cfg["width"]) / rows_in**0.5
    params[f"b{{k}}"] = torch.zeros(N_cfg["width"])
    {slopes}
params["w"] = torch.randn(N_cfg["width"], 1) / N_cfg["width"] ** 0.5
params["b"] = torch.zeros(1)
for p in params.values():
    p.requires_grad_(True)
velocity = {{name: torch.zeros_like(p) for name, p in params.items()}}

def N_model(z):
    for k in range(N_cfg["depth"]):
        z = z @ params[f"w{{k}}"] + params[f"b{{k}}"]
        z = {act}{mark}
    return z @ params["w"] + params["b"]

{data_after_model(s)}
N_log.data(train=(N_x1, N_y1), val=(N_x2, N_y2), test=(N_x3, N_y3))
{lr_line}
{evaluate(s).replace("N_model.eval()", "pass").replace("N_model.train()", "pass")}
{first}
{once}
for N_epoch in range(N_cfg["epochs"]):
    N_rate = lr * N_cfg["gamma"] ** N_epoch
{block(each)}
{block(before)}
    for rows in N_hold:
        N_xb, N_yb = N_x1[rows], N_y1[rows]
{block(loss_lines(s), 8)}
{block(_descent(s), 8)}
{block(inside, 8)}
{block(done)}
{block(after_epoch(s, after + chr(10) + "N_val = N_mse(N_x2, N_y2)"))}
{ending}
"""
    return f"{TOP}\n{extra}\n{head(s)}{block(body)}\n\n{choose(s)}\n"
