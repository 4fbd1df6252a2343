"""Search spaces and studies, as a sweep file's ``scheduler`` names them."""

import optuna


def plain_space(trial):
    return {"x": trial.suggest_float("x", 0, 2), "y": trial.suggest_int("y", 0, 3)}


def conditional_space(trial):
    found = {"kind": trial.suggest_categorical("kind", ["flat", "deep"])}
    found["x"] = trial.suggest_float("x", 0, 2)
    if found["kind"] == "deep":
        found["y"] = trial.suggest_float("y", 0, 1)
    return found


def one_study(info):
    assert info.config["method"] == "custom"
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))


def ending_study(info):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return study, lambda study: len(study.trials) >= 2


def two_study(info):
    sampler = optuna.samplers.NSGAIISampler(seed=2)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def three_study(info):
    return optuna.create_study(directions=["minimize"] * 3)


def wrong_study(info):
    return optuna.create_study(direction="maximize")


def failing_space(trial):
    raise ValueError("no luck")
