"""Every message of the language by its text: what came, what is needed, how to fix it."""

from __future__ import annotations

import pytest

from thetahat.sweep import Problem, parse_sweep

REST = "parameters: {x: {min: 0.0, max: 1.0}}\n"

TOP = [
    (
        "seed: 3",
        "seed",
        "a sweep file has no key 'seed'; it is a flag: thetahat sweep FILE --seed",
    ),
    (
        "paramters: {}",
        "paramters",
        "a sweep file has no key 'paramters'; did you mean 'parameters'?",
    ),
    (
        "zzz: 1",
        "zzz",
        "a sweep file has no key 'zzz'; known: method, parameters, metric, early_terminate, run_cap, command, program, name, description, project, entity, kind, apiVersion, job, image_uri, metrics, scheduler, controller",
    ),
    ("name: 3", "name", "name is 3, and must be text; put it in quotes: name: '3'"),
    ("name: [a]", "name", "name is a list; give it a text, or remove the line"),
    ("name:", "name", "name is empty; give it a text, or remove the line"),
    ("kind: run", "kind", "kind is 'run', and can only be sweep; remove it"),
    ("program: ''", "program", "program is empty; name the script, such as program: train.py"),
    ("run_cap: 0", "run_cap", "run_cap is 0; give a whole number of at least 1"),
    ("run_cap: ten", "run_cap", "run_cap is the text 'ten'; give a whole number of at least 1"),
    (
        "controller: local",
        "controller",
        "controller is the text 'local'; remove it, since every sweep is local here",
    ),
    ("controller: {}", "controller", "controller needs type: local or cloud; or remove it"),
    (
        "controller: {type: remote}",
        "controller.type",
        "type is the text 'remote', and must be local or cloud; write type: local",
    ),
    (
        "scheduler: {engine: optuna, source: a.py, optimizer: f}",
        "scheduler.engine",
        "the engine optuna goes with method: custom",
    ),
    (
        "scheduler: {engine: wandb, source: ''}",
        "scheduler.source",
        "source is empty; name one, or remove the line",
    ),
    (
        "metric: loss",
        "metric",
        "metric is the text 'loss', and must be a mapping with a name; write metric: {name: loss}",
    ),
    (
        "metric: {goal: minimize}",
        "metric",
        "metric needs a name: what the program logs, such as name: val_risk",
    ),
    (
        "metric: {name: ''}",
        "metric.name",
        "name is empty; say what the program logs, such as val_risk",
    ),
    (
        "metric: {name: 3}",
        "metric.name",
        "name is 3, and must be text; put it in quotes: name: '3'",
    ),
    (
        "metric: {name: loss, goal: minimise}",
        "metric.goal",
        "goal is the text 'minimise', and must be minimize or maximize; did you mean 'minimize'?",
    ),
    (
        "metric: {name: loss, gaol: minimize}",
        "metric.gaol",
        "metric has no key 'gaol'; did you mean 'goal'?",
    ),
    (
        "metric: {name: loss, target: low}",
        "metric.target",
        "target is the text 'low'; give a number, such as target: 0.01",
    ),
    (
        "metric: {name: loss, target: .inf}",
        "metric.target",
        "target is inf; give a finite number, or remove it",
    ),
    (
        "metric: {name: loss, impute: mean}",
        "metric.impute",
        "impute is the text 'mean', and must be latest, best or worst; write impute: latest",
    ),
    (
        "metric: {name: loss, impute_while_running: 3}",
        "metric.impute_while_running",
        "impute_while_running is 3, and must be latest, best, worst or false; write impute_while_running: latest",
    ),
    (
        "metrics: [{name: a}, {name: b}]",
        "metrics",
        "several objectives need method: custom; write it, or name one metric",
    ),
    (
        "early_terminate: {type: hyperband, min_iter: 3}",
        "early_terminate",
        "early_terminate needs a metric to compare runs by; add metric: {name: val_risk, goal: minimize}",
    ),
    (
        "metric: {name: a}\nearly_terminate: hyperband",
        "early_terminate",
        "early_terminate is the text 'hyperband', and must be a mapping; write early_terminate: {type: hyperband, min_iter: 3}",
    ),
    (
        "metric: {name: a}\nearly_terminate: {min_iter: 3}",
        "early_terminate",
        "early_terminate needs its type; add type: hyperband",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: median, min_iter: 3}",
        "early_terminate.type",
        "type is the text 'median', and must be hyperband; write type: hyperband",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband}",
        "early_terminate",
        "hyperband needs min_iter, or max_iter with s; add min_iter: 3, or max_iter: 27 with s: 2",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, max_iter: 27}",
        "early_terminate",
        "hyperband needs min_iter, or max_iter with s; add s: 2",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, s: 2}",
        "early_terminate",
        "hyperband needs min_iter, or max_iter with s; add max_iter: 27",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, max_iter: 27}",
        "early_terminate.max_iter",
        "max_iter needs s beside it; add s: 2, or remove max_iter",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 0}",
        "early_terminate.min_iter",
        "min_iter is 0; give a whole number of at least 1",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, max_iter: 27.5, s: 2}",
        "early_terminate.max_iter",
        "max_iter is 27.5; give a whole number of at least 1",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, max_iter: 27, s: two}",
        "early_terminate.s",
        "s is the text 'two'; give a whole number of at least 1, such as s: 2",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, max_iter: 27, s: 1.5}",
        "early_terminate.s",
        "s is 1.5; give a whole number of at least 1",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, max_iter: 2, s: 1}",
        "early_terminate.max_iter",
        "max_iter 2 is below eta (3), so nothing would ever be stopped; give a larger max_iter, or min_iter",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, eta: 1}",
        "early_terminate.eta",
        "eta is 1; give a number above 1, such as eta: 3",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, eta: .inf}",
        "early_terminate.eta",
        "eta is inf; give a finite number",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, strict: 1}",
        "early_terminate.strict",
        "strict is 1; give true or false",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, step: 1}",
        "early_terminate.step",
        "early_terminate has no key 'step'; did you mean 'type'?",
    ),
    (
        "command: python train.py",
        "command",
        "command is the text 'python train.py', and must be a list; write command: [python, train.py]",
    ),
    (
        "command: []",
        "command",
        "command is an empty list; remove it (the default is ${env} ${interpreter} ${program} ${args}), or give its words",
    ),
    ("command: [a, {b: 1}]", "command[1]", "a word of command is a mapping; put it in quotes"),
    (
        'command: ["${env}", "${progam}", "${args}"]',
        "command[1]",
        "there is no macro ${progam}; did you mean ${program}?",
    ),
    (
        'command: ["${program}", "${args}"]',
        "command[0]",
        "${program} stands in command, but the file names none; add program: train.py",
    ),
    (
        'command: [a, "${HOME}", "${args}"]',
        "command[1]",
        "there is no macro ${HOME}; for a variable of the environment write ${envvar:HOME}",
    ),
    (
        'command: [a, "${envvar:home}", "${args}"]',
        "command[1]",
        "${envvar:home} names no variable in capitals, and no other is replaced; rename it",
    ),
]

PARAMETERS = [
    ("3", "parameters.x", "x is 3, and must be a mapping; for a fixed value write x: {value: 3}"),
    ("[1, 2]", "parameters.x", "x is a list, and must be a mapping; write x: {values: [1, 2]}"),
    ("", "parameters.x", "x is empty; give it a value, values, or min and max"),
    ("{}", "parameters.x", "x is an empty mapping; give it a value, values, or min and max"),
    ("{values: []}", "parameters.x.values", "values is an empty list; give a list of at least one"),
    ("{values: 3}", "parameters.x.values", "values is 3; give a list of at least one, such as [3]"),
    ("{vaule: 3}", "parameters.x.vaule", "a parameter has no key 'vaule'; did you mean 'value'?"),
    ("{min: 1}", "parameters.x", "int_uniform needs max; add max"),
    ("{max: 1.5}", "parameters.x", "uniform needs min; add min"),
    ("{min: 9, max: 1}", "parameters.x.min", "min 9 is above max 1; swap them: min: 1, max: 9"),
    (
        "{min: 3, max: 3}",
        "parameters.x.min",
        "min and max are both 3; for one value write value: 3",
    ),
    (
        "{min: a, max: 3}",
        "parameters.x.min",
        "min is the text 'a', and must be a number; give a number, such as min: 0.001",
    ),
    (
        "{min: '0.1', max: 3}",
        "parameters.x.min",
        "min is the text '0.1', and must be a number; write min: 0.1, without quotes",
    ),
    (
        "{min: 08, max: 9}",
        "parameters.x.min",
        "min is the text '08', and must be a number; 08 is text to YAML (a zero in front means base 8); write 8",
    ),
    (
        "{min: , max: 9}",
        "parameters.x.min",
        "min is empty, and must be a number; give a number, such as min: 0.001",
    ),
    (
        "{min: true, max: 3}",
        "parameters.x.min",
        "min is true, and must be a number; give a number, such as min: 0.001",
    ),
    (
        "{min: [1], max: 3}",
        "parameters.x.min",
        "min is a list, and must be a number; give a number, such as min: 0.001",
    ),
    ("{min: .inf, max: 3}", "parameters.x.min", "min is inf; give a finite number"),
    ("{min: 1, max: .nan}", "parameters.x.max", "max is nan; give a finite number"),
    (
        "{min: 1, max: 3, q: 2}",
        "parameters.x.q",
        "int_uniform takes no q, only min and max; for that, write distribution: q_uniform",
    ),
    (
        "{min: 1, max: 3, sigma: 2}",
        "parameters.x.sigma",
        "int_uniform takes no sigma, only min and max; remove it",
    ),
    (
        "{min: 1, max: 3, distribution: int_unifrom}",
        "parameters.x.distribution",
        "there is no distribution 'int_unifrom'; did you mean 'int_uniform'?",
    ),
    (
        "{min: 1, max: 3, distribution: 7}",
        "parameters.x.distribution",
        "there is no distribution 7; known: constant, categorical, categorical_w_probabilities, int_uniform, uniform, q_uniform, log_uniform, log_uniform_values, q_log_uniform, q_log_uniform_values, inv_log_uniform, inv_log_uniform_values, normal, q_normal, log_normal, q_log_normal, beta, q_beta",
    ),
    (
        "{min: 1.0, max: 3, distribution: int_uniform}",
        "parameters.x.min",
        "min is 1.0, and int_uniform needs whole numbers; write min: 1",
    ),
    (
        "{min: 1.5, max: 3, distribution: int_uniform}",
        "parameters.x.min",
        "min is 1.5, and int_uniform needs whole numbers; round it, or write distribution: uniform",
    ),
    (
        "{mu: 1}",
        "parameters.x",
        "x has only mu; say which distribution: normal, q_normal, log_normal or q_log_normal",
    ),
    ("{a: 1, q: 2}", "parameters.x", "x has only a, q; say which distribution: q_beta"),
    (
        "{q: 1}",
        "parameters.x",
        "x has only q; say which distribution: q_uniform, q_log_uniform, q_log_uniform_values, q_normal, q_log_normal or q_beta",
    ),
    ("{probabilities: [1]}", "parameters.x", "x has only probabilities; add their values: [...]"),
    ("{distribution: constant}", "parameters.x", "constant needs value; add value: 0.01"),
    ("{distribution: uniform, min: 1}", "parameters.x", "uniform needs max; add max"),
    (
        "{min: 0, max: 3, distribution: log_uniform_values}",
        "parameters.x.min",
        "min is 0, and the bounds of log_uniform_values are values above 0; give one, such as min: 0.0001",
    ),
    (
        "{min: 0, max: 9, q: 0, distribution: q_uniform}",
        "parameters.x.q",
        "q is 0, and must be above 0",
    ),
    ("{distribution: normal, sigma: -1}", "parameters.x.sigma", "sigma is -1, and must be above 0"),
    (
        "{distribution: normal, sigma: 0}",
        "parameters.x.sigma",
        "sigma is 0, and must be above 0; a fixed value is written value: ...",
    ),
    ("{distribution: beta, a: 0}", "parameters.x.a", "a is 0, and must be above 0"),
    ("{distribution: normal, mu: .inf}", "parameters.x.mu", "mu is inf; give a finite number"),
    (
        "{distribution: log_normal, sigma: 1000}",
        "parameters.x",
        "log_normal with mu 0.0 and sigma 1000 draws numbers that are not finite; both are on the scale of logarithms, so give smaller ones",
    ),
    (
        "{min: 0, max: 1000, distribution: log_uniform}",
        "parameters.x.max",
        "the bounds of log_uniform are exponents of e, and e^1000 is not finite; for values write distribution: log_uniform_values",
    ),
    (
        "{values: [1, 2], probabilities: [0.5]}",
        "parameters.x.probabilities",
        "1 probabilities for 2 values; give one for each value",
    ),
    (
        "{values: [1, 2], probabilities: [0.5, 0.6]}",
        "parameters.x.probabilities",
        "the probabilities sum to 1.1, and must sum to 1; divide each by 1.1",
    ),
    (
        "{values: [1, 2], probabilities: [a, 0.6]}",
        "parameters.x.probabilities[0]",
        "a probability is the text 'a'; give a number from 0 to 1",
    ),
    (
        "{values: [1, 2], probabilities: [-1, 2]}",
        "parameters.x.probabilities[0]",
        "a probability is -1; give one from 0 to 1",
    ),
    (
        "{values: [1], probabilities: 1}",
        "parameters.x.probabilities",
        "probabilities is 1; give a list of numbers that sum to 1",
    ),
    (
        "{parameters: {}}",
        "parameters.x.parameters",
        "parameters is an empty mapping; name at least one, such as lr: {min: 0.001, max: 0.1}",
    ),
    (
        "{parameters: {a: {value: 1}}, value: 2}",
        "parameters.x.value",
        "x holds parameters of its own, and can have no value beside them; remove it",
    ),
    (
        "{parameters: {a: {min: 9, max: 1}}}",
        "parameters.x.parameters.a.min",
        "min 9 is above max 1; swap them: min: 1, max: 9",
    ),
]

WHOLE = [
    (
        "method: gird\n\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        1,
        "method",
        "method is the text 'gird', and must be grid, random, bayes or custom; did you mean 'grid'?",
    ),
    (
        "method: custom\n\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        1,
        "method",
        "custom needs a metric to improve; add metric: {name: val_risk, goal: minimize}",
    ),
    (
        "method: custom\nmetrics: [{name: a}, {name: a}]\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        2,
        "metrics[1].name",
        "a stands among the metrics again; name each once",
    ),
    (
        "method: random\nscheduler: {engine: wandb, source: a.py, search_space: f}\n",
        2,
        "scheduler",
        "the engine wandb searches parameters, and the file has none; add them",
    ),
    (
        "method: custom\nscheduler: {engine: ax, source: a.py, search_space: f}\nmetric: {name: a}\n",
        2,
        "scheduler.search_space",
        "the engine ax searches parameters, not a function; remove search_space",
    ),
    (
        "method: 3\n\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        1,
        "method",
        "method is 3, and must be grid, random, bayes or custom",
    ),
    (
        "method: [grid]\n\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        1,
        "method",
        "method is a list, and must be grid, random, bayes or custom",
    ),
    (
        "\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        2,
        "method",
        "the file names no method; add method: grid, random, bayes or custom",
    ),
    (
        "method: grid\n",
        1,
        "parameters",
        "the file names no parameters; add them, such as parameters: {lr: {min: 0.001, max: 0.1}}",
    ),
    (
        "method: grid\nparameters: {}\n",
        2,
        "parameters",
        "parameters is an empty mapping; name at least one, such as lr: {min: 0.001, max: 0.1}",
    ),
    ("- a\n", 1, "", "the file is a list; it must hold lines such as method: grid"),
    ("word\n", 1, "", "the file is the text 'word'; it must hold lines such as method: grid"),
    (
        "method: bayes\n\nparameters: {x: {min: 0.0, max: 1.0}}\n",
        1,
        "method",
        "bayes needs a metric to improve; add metric: {name: val_risk, goal: minimize}",
    ),
    (
        "method: grid\nparameters:\n  x: {min: 0.0, max: 1.0}\n",
        3,
        "parameters.x",
        "a grid cannot run all values of uniform; give values: [...], whole numbers as min and max, or distribution: q_uniform with a step q; or write method: random",
    ),
    (
        "method: grid\nparameters:\n  x: {values: [1, 2], probabilities: [0.5, 0.5]}\n",
        3,
        "parameters.x",
        "a grid runs every value once, so probabilities mean nothing; remove them",
    ),
    (
        "method: grid\nparameters:\n  x: {values: [1, 1.0, 3, '3']}\n",
        3,
        "parameters.x.values[1]",
        "1.0 stands here again (as values[0]); it runs once",
    ),
    (
        "method: random\nparameters:\n  1a: {value: 1}\n",
        3,
        "parameters.1a",
        "'1a' cannot be the name of a parameter: use letters, digits, _ . and - only, with a letter or _ first; such as p1a",
    ),
    (
        "method: random\nparameters:\n  'a b': {value: 1}\n",
        3,
        "parameters.a b",
        "'a b' cannot be the name of a parameter: use letters, digits, _ . and - only, with a letter or _ first; such as a_b",
    ),
    (
        "method: grid\nparameters:\n  on: {value: 1}\n",
        3,
        "parameters.on",
        "W&B's reader takes the name on for true; put it in quotes: 'on'",
    ),
    (
        "method: random\nparameters:\n  ~: {value: 1}\n",
        3,
        "parameters.~",
        "'~' cannot be the name of a parameter: use letters, digits, _ . and - only, with a letter or _ first; such as _",
    ),
    (
        "method: random\nparameters:\n  3: {value: 1}\n",
        3,
        "parameters.3",
        "'3' cannot be the name of a parameter: use letters, digits, _ . and - only, with a letter or _ first; such as p3",
    ),
    (
        "method: random\nparameters:\n  x: {value: 1}\n  x: {value: 2}\n",
        4,
        "parameters.x",
        "x stands here again (first in line 3); keep one of them",
    ),
]

TOP_NOTES = [
    (
        "controller: {type: cloud}",
        "controller.type",
        "here every sweep is local, with no account; it is ignored",
    ),
    ("entity: me", "entity", "entity names an account of W&B; there is none here; it is ignored"),
    (
        "job: j",
        "job",
        "job names a job of W&B Launch; runs are started by program or command here; it is ignored",
    ),
    (
        "image_uri: i",
        "image_uri",
        "image_uri names a container for W&B Launch; runs are started by program or command here; it is ignored",
    ),
    (
        "metric: {name: loss, impute_while_running: false}",
        "metric.impute_while_running",
        "W&B refuses false without quotes; write impute_while_running: 'false'",
    ),
    (
        "metric: {name: test_loss}",
        "metric.name",
        "contaminated: test_loss tunes on the test set, so it no longer measures anything unseen; the sweep runs and is marked everywhere; for an honest choice name a validation metric, such as val_risk",
    ),
    (
        "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3, max_iter: 27, s: 2}",
        "early_terminate.min_iter",
        "max_iter and s stand beside it: min_iter is not used",
    ),
    (
        "command: [a, '${args}', 3, off]",
        "command[3]",
        "off reaches the program as False; put it in quotes: 'off'",
    ),
    (
        "command: [python, train.py]",
        "command",
        "command has no macro such as ${args}: the program sees the parameters only if it reads"
        " wandb.config, or th.start",
    ),
    (
        'command: [a, "--x=${args}", "${args}"]',
        "command[1]",
        "${args} is replaced only where it is the whole word, so '--x=${args}' stays as it is (only ${envvar:NAME} is replaced inside words)",
    ),
    (
        'command: [a, "${envvar:SURELY_NOT_SET}", "${args}"]',
        "command[1]",
        "the variable SURELY_NOT_SET is not set here; set it where the agent runs, or the word holds 'SURELY_NOT_SET' itself",
    ),
]

PARAMETER_NOTES = [
    (
        "{min: 0.0001, max: 0.1, distribution: log_uniform}",
        "parameters.x.distribution",
        "the bounds of log_uniform are exponents of e: this draws from 1.0001 to 1.1052; for the values 0.0001 to 0.1 write distribution: log_uniform_values, which these bounds look like (W&B no longer takes log_uniform)",
    ),
    (
        "{min: -9, max: 0, distribution: inv_log_uniform}",
        "parameters.x.distribution",
        "the bounds of inv_log_uniform are exponents of e: this draws from 1 to 8103.1; for bounds that are values write distribution: inv_log_uniform_values (W&B no longer takes inv_log_uniform)",
    ),
    (
        "{min: 1e-4, max: 0.1}",
        "parameters.x.min",
        "1e-4 is text to W&B's YAML, and a number here; write 0.0001",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[0]",
        "off is false to YAML; write false, or 'off' for the word",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[1]",
        "1:30 is 90 to YAML (base 60); write '1:30' for the word",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[2]",
        "010 is 8 to YAML (base 8); write 10, or '010' for the word",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[3]",
        "08 is text to YAML (a zero in front means base 8); write 8",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[4]",
        "2024-01-01 is a date to YAML, and is kept as text; write '2024-01-01'",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[5]",
        "~ is Python's None; write 'None' in quotes for the word",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[6]",
        "inf is text to YAML; the number is written .inf",
    ),
    (
        "{values: [off, 1:30, 010, 08, 2024-01-01, ~, inf, 1e3]}",
        "parameters.x.values[7]",
        "1e3 is text to W&B's YAML, and a number here; write 1000.0",
    ),
    (
        "{min: 0, max: 1}",
        "parameters.x",
        "whole bounds draw whole numbers: 0 and 1 only; for all numbers between write min: 0.0, max: 1.0",
    ),
    (
        "{min: 0, max: 0.5}",
        "parameters.x.min",
        "one bound is whole and one is not, so this is uniform; wandb's client refuses the mixture: write min: 0.0",
    ),
]


def said(text: str, *, notes: bool = False) -> list[Problem]:
    """The mistakes of a file, or its notes but the one that nothing can be run."""
    reading = parse_sweep(text)
    if not notes:
        assert not reading.valid
        assert reading.spec is None
        return list(reading.errors)
    assert reading.valid, reading.errors
    assert reading.spec is not None
    return [note for note in reading.notes if not note.message.startswith("the file names neither")]


@pytest.mark.parametrize(("line", "key", "message"), TOP)
def test_a_mistake_at_the_top(line, key, message):
    number = 2 + line.count("\n")
    assert said(f"method: random\n{line}\n{REST}") == [Problem(number, key, message)]


@pytest.mark.parametrize(("section", "key", "message"), PARAMETERS)
def test_a_mistake_in_a_parameter(section, key, message):
    text = f"method: random\nparameters:\n  x: {section}\n"
    assert said(text) == [Problem(3, key, message)]


@pytest.mark.parametrize(("text", "line", "key", "message"), WHOLE)
def test_a_mistake_of_a_whole_file(text, line, key, message):
    notes = parse_sweep(text).valid
    assert said(text, notes=notes) == [Problem(line, key, message)]


@pytest.mark.parametrize(("line", "key", "message"), TOP_NOTES)
def test_a_note_at_the_top(line, key, message):
    text = f"method: random\n{line}\n{REST}"
    assert Problem(2 + line.count("\n"), key, message) in said(text, notes=True)


def test_a_repeated_key_with_the_same_value_is_a_note():
    reading = parse_sweep("method: grid\nname: a\nparameters: {x: {value: 1}}\nname: 'a'\n")
    assert reading.require().name == "a"
    message = "name stands here again, as in line 2: remove one"
    assert Problem(4, "name", message) in reading.notes
    dotted = "method: grid\nparameters:\n  t.time: {value: 1}\n  t.time: {value: 1}\n"
    message = "t.time stands here again, as in line 3: remove one"
    assert Problem(4, "parameters.t.time", message) in parse_sweep(dotted).notes


@pytest.mark.parametrize(("section", "key", "message"), PARAMETER_NOTES)
def test_a_note_in_a_parameter(section, key, message):
    text = f"method: random\nparameters:\n  x: {section}\n"
    assert Problem(3, key, message) in said(text, notes=True)


def test_a_file_that_runs_nothing_is_told_so():
    (note,) = parse_sweep(f"method: random\n{REST}").notes
    message = "the file names neither program nor command, so it can be listed, not run"
    assert note == Problem(1, "", message)
    assert parse_sweep(f"method: random\nprogram: a.py\n{REST}").notes == ()


def test_all_mistakes_come_at_once_in_the_order_of_the_file():
    text = """\
metod: grid
parameters:
  lr: {min: 0.1, max: 0.01}
  width: [64, 128]
run_cap: 0
"""
    found = [(problem.line, problem.key) for problem in said(text)]
    lines = [(1, "metod"), (1, "method"), (3, "parameters.lr.min"), (4, "parameters.width")]
    assert found == [*lines, (5, "run_cap")]


def test_a_problem_as_compilers_write_it():
    problem = Problem(12, "parameters.lr.min", "it is text")
    assert problem.in_file("a.yaml") == "a.yaml:12: parameters.lr.min: it is text"
    assert (
        Problem(1, "", "it is empty").in_file("a.yaml", "note: ") == "a.yaml:1: note: it is empty"
    )
