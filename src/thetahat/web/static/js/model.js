// A sweep's runs as the page needs them: flat configs, which parameters vary, filters, the best.
import { finite, flat } from "./format.js";

// The classes of core/run.py (a test compares them): a run ended well, failed, or did not finish
// (is not over, or was cut short).
export const WELL = new Set(["finished", "stopped"]);
export const FAILED = new Set(["failed", "diverged", "rejected"]);
export const OPEN = new Set(["queued", "running"]);
export const CUT = new Set(["interrupted", "cancelled", "unmoved"]);
// The solutions that accepted runs found (core/acceptance.py), the most frequent first: [name, count].
export function solutions(runs) {
  const found = new Map();
  for (const run of runs) {
    const said = WELL.has(run.status) && /; found ([^;]+); accepted$/.exec(run.reason || "");
    if (said) found.set(said[1], (found.get(said[1]) || 0) + 1);
  }
  return [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
export const sum = (counts, names) => [...names].reduce((all, name) => all + (counts[name] || 0), 0);
// The setting of a run in the server's ranking.
const settingOf = new WeakMap();
export const settingFor = (run) => settingOf.get(run);

// A run as the server sends it. One literal with all fields: adding them one by one takes several times as long.
const runOf = (of, i) => ({
  id: of.id(i), number: of.number(i), name: of.name(i), status: of.status(i), reason: of.reason(i), epochs: of.epochs(i), max_epochs: of.max_epochs(i), n_params: of.n_params(i),
  best_val_risk: of.best_val_risk(i), best_epoch: of.best_epoch(i), created: of.created(i), started: of.started(i), finished: of.finished(i), heartbeat: of.heartbeat(i), agent: of.agent(i),
  attempt: of.attempt(i), contaminated: of.contaminated(i), point: of.point(i), replicate: of.replicate(i), cohort: of.cohort(i), experiment: of.experiment(i), project: of.project(i),
  sweep_id: of.sweep_id(i), seconds: of.seconds(i), config: flat(of.config(i)), metrics: of.metrics(i), time: null,
});

// Columns of the server -> runs. A field that all runs share is sent once.
export function readRuns({ n, same, columns }) {
  const of = {};
  for (const name in columns) { const list = columns[name]; of[name] = (i) => list[i]; }
  for (const name in same) of[name] = () => same[name];
  const runs = [];
  for (let i = 0; i < n; i += 1) {
    const run = runOf(of, i);
    run.time = seconds(run);
    runs.push(run);
  }
  return runs;
}

function seconds(run) {
  const parts = run.seconds || {};
  if (finite(parts.total)) return parts.total;
  const known = Object.values(parts).filter(finite);
  if (known.length) return known.reduce((a, b) => a + b, 0);
  const [from, to] = [Date.parse(run.started), Date.parse(run.finished || run.heartbeat)];
  return Number.isFinite(from) && Number.isFinite(to) ? Math.max(0, (to - from) / 1000) : null;
}

// Join reasons that differ by their numbers only.
export const kindOf = (run) => `${run.status} ${(run.reason || "").replace(/-?\d[\d.e+-]*|\bnan\b|-?\binf\b/gi, "#")}`;

// Whether the numbers of epochs of these runs are steps, which programs count.
export const countSteps = (runs) => runs.some((run) => run.epochs) && runs.every((run) => !run.epochs || (run.max_epochs === null && run.metrics.epoch !== run.epochs));

export class Model {
  constructor(answer) {
    this.byId = new Map();
    this.take(answer);
  }

  // Take all runs, or those that changed; return how many are new, changed, or gone.
  take(answer, whole = false) {
    this.sweep = { ...this.sweep, ...answer.sweep };
    this.counts = answer.counts;
    this.agents = answer.agents;
    this.since = answer.now;
    // Of very many runs the charts have a sample, and numbers over all of them.
    this.sampled = answer.sampled || null;
    const known = this.byId;
    if (whole) this.byId = new Map();
    let changed = 0;
    for (const run of readRuns(answer.runs)) {
      const before = known.get(run.id);
      const same = before && JSON.stringify(before) === JSON.stringify(run);
      if (!same) changed += 1;
      if (!same || whole) this.byId.set(run.id, same ? before : run);
    }
    if (whole) for (const id of known.keys()) if (!this.byId.has(id)) changed += 1;
    if (changed || !this.runs) this.study();
    if (answer.settings) this.told = answer.settings;
    this.front = answer.front || null;
    return changed;
  }

  // Whether the counts by status equal the store's: a deleted run, or one that another machine's
  // clock dates back, is not among those that changed.
  get agrees() {
    const here = {};
    for (const run of this.byId.values()) here[run.status] = (here[run.status] || 0) + 1;
    const names = new Set([...Object.keys(here), ...Object.keys(this.counts)]);
    return [...names].every((name) => (here[name] || 0) === (this.counts[name] || 0));
  }

  study() {
    this.runs = [...this.byId.values()].sort((a, b) => a.number - b.number);
    const seen = new Map();
    const metrics = new Map();
    const settings = new Map();
    let good = 0;
    for (const run of this.runs) {
      const well = counts(run);
      good += well;
      for (const name in run.config) {
        const value = run.config[name];
        let one = seen.get(name);
        if (!one) seen.set(name, (one = { name, values: new Set(), n: 0, good: 0, words: 0, low: Infinity, high: -Infinity }));
        one.n += 1;
        one.good += well;
        if (one.values.size < 50) one.values.add(value);
        if (finite(value)) { if (value < one.low) one.low = value; if (value > one.high) one.high = value; } else if (value !== null) one.words += 1;
      }
      for (const name in run.metrics) if (!metrics.has(name) && finite(run.metrics[name])) metrics.set(name, metrics.size);
    }
    // A run that failed at its start lacks the defaults: only runs that ended well tell what varies by being absent.
    const told = new Map((this.sweep.parameters || []).map((p, i) => [p.name, { ...p, order: i }]));
    const seeds = (this.sweep.seeds || []).filter((name) => seen.get(name)?.values.size > 1);
    // A setting is a point of the sweep, or the proposed parameters without the seeds if the sweep tries seeds.
    const proposed = (name) => !told.size || name.split(".").some((_, i, parts) => told.has(parts.slice(0, i + 1).join(".")));
    const names = [...seen.keys()].filter((name) => !seeds.includes(name) && proposed(name));
    this.settingOf = !seeds.length ? (run) => run.point : (run) => JSON.stringify(names.map((name) => run.config[name]));
    for (const run of this.runs) { const key = this.settingOf(run); if (key !== null && key !== undefined) settings.set(key, (settings.get(key) || 0) + 1); }
    this.settings = settings;
    this.repeated = settings.size < this.runs.length && [...settings.values()].some((n) => n > 1);
    this.parameters = [...seen.values()].map((one) => {
      const file = told.get(one.name);
      const numeric = one.words === 0 && one.low <= one.high;
      const few = one.values.size <= 12;
      return { name: one.name, numeric, few, discrete: !numeric || (few && one.n >= 2 * one.values.size), values: [...one.values], low: one.low, high: one.high, n: one.n, varies: one.values.size > 1 || (one.good > 0 && one.good < good),
        log: numeric && one.low > 0 && (file?.log ?? one.high / one.low >= 100), order: file ? file.order : 1e6 };
    }).sort((a, b) => a.order - b.order);
    this.byName = new Map(this.parameters.map((p) => [p.name, p]));
    this.varying = this.parameters.filter((p) => p.varies);
    this.metrics = [...metrics.keys()].sort((a, b) => rank(a) - rank(b));
    this.steps = countSteps(this.runs);
  }

  // Settings in the server's ranking by the shown metric.
  settle(found) {
    this.standing = found;
    this.mark(this.runs, found);
  }

  mark(runs, found) {
    for (const run of runs) {
      const place = found?.place[run.id];
      const one = found?.settings[place];
      // Of some settings the server says which place among all they have.
      if (place === undefined) settingOf.delete(run); else settingOf.set(run, { ...one, place: one?.rank ?? place });
    }
  }

  seeds(run) { return this.sampled ? settingOf.get(run)?.runs ?? 2 : this.settings.get(this.settingOf(run)) || 1; }

  // All runs, of which the charts may have a sample.
  get total() { return this.sampled ? this.sampled.of : this.runs.length; }

  get replicated() { return this.standing?.replicated ?? ((this.sweep.plan?.replicates || 1) > 1 || this.repeated); }

  get highest() { return this.runs.length ? this.runs[this.runs.length - 1].number : 0; }
}

function rank(name) {
  const first = ["val_risk", "test_risk", "train_risk"].indexOf(name);
  return first < 0 ? 3 : first;
}

export function value(run, column) {
  if (column.startsWith("c.")) return run.config[column.slice(2)];
  if (column.startsWith("m.")) return run.metrics[column.slice(2)];
  if (column === "seconds") return run.time;
  if (column === "setting") return settingOf.get(run)?.place ?? null;
  return run[column];
}

// The same for many runs.
export function getter(column) {
  const name = column.slice(2);
  if (column.startsWith("c.")) return (run) => run.config[name];
  if (column.startsWith("m.")) return (run) => run.metrics[name];
  return (run) => value(run, column);
}

// Whether a run's number counts: it has ended, and ended well.
export const counts = (run) => WELL.has(run.status);

export function best(runs, metric, sign) {
  let found = null;
  for (const run of runs) {
    const v = run.metrics[metric];
    if (finite(v) && counts(run) && (!found || sign * v < sign * found.metrics[metric])) found = run;
  }
  return found;
}

// Count the runs that share the best number.
export function tied(runs, metric, lead) {
  return runs.filter((run) => counts(run) && run.metrics[metric] === lead.metrics[metric]).length;
}

// A condition with or without spaces, a list, or a word.
const TOKEN = /([^\s"<>=!~]+)\s*(<=|>=|!=|==|=|<|>|~)\s*("[^"]*"|[^\s"]*)|([^\s"<>=!~]+)\s+in\s*[([{]([^)\]}]*)[)\]}]|"[^"]*"|\S+/gi;

// "lr > 0.01 status=finished otter" -> a test of runs; throws where something is not understood. Its
// `lost` are words that no name contains.
export function condition(text, model) {
  const [tests, lost] = [[], []];
  for (const [token, name, operator, value, listed, values] of text.matchAll(TOKEN)) {
    const bare = token.replaceAll('"', "");
    const pair = /^([^:]+):(.+)$/.exec(bare);
    if (operator) tests.push(term(name, operator, value.replaceAll('"', ""), model));
    else if (listed) { const any = values.split(",").map((v) => term(listed, "=", v.trim().replace(/^(["'])(.*)\1$/, "$2"), model)); tests.push((run) => any.some((test) => test(run))); }
    else if (pair && resolve(pair[1], model)) tests.push(term(pair[1], "=", pair[2], model));
    else if (/^(and|&&?)$/i.test(bare)) continue;
    else if (/^(or|\|\|?)$|[<>=!~]/i.test(bare)) throw new Error(`“${bare}” is not understood: all conditions must hold, such as lr>0.01 width in (8, 16)`);
    else {
      const part = bare.toLowerCase();
      const test = (run) => run.name.toLowerCase().includes(part) || run.id.startsWith(part);
      if (!model.runs.some(test)) lost.push(bare);
      tests.push(test);
    }
  }
  return Object.assign((run) => tests.every((test) => test(run)), { lost });
}

function term(name, operator, word, model) {
  const column = resolve(name, model);
  if (!column) throw new Error(`no run has a column “${name}”`);
  const wanted = word.trim() !== "" && Number.isFinite(Number(word)) ? Number(word) : word;
  if (/[<>]/.test(operator) && typeof wanted !== "number") throw new Error(`“${name}${operator}${word}” is not understood: after ${operator} write a number`);
  return (run) => {
    const found = value(run, column);
    if (operator === "=" || operator === "==" || operator === "!=") return (String(found).toLowerCase() === String(wanted).toLowerCase()) === (operator !== "!=");
    if (found === null || found === undefined) return false;
    if (operator === "~") return String(found).toLowerCase().includes(String(word).toLowerCase());
    if (typeof found !== "number" || typeof wanted !== "number") return false;
    return operator === "<" ? found < wanted : operator === ">" ? found > wanted : operator === "<=" ? found <= wanted : found >= wanted;
  };
}

const OWN = ["name", "status", "reason", "epochs", "seconds", "n_params", "agent", "attempt", "number", "contaminated", "created", "point", "replicate"];

function resolve(name, model) {
  const [section, rest] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  if (section === "config" || section === "c") return model.byName.has(rest) ? `c.${rest}` : null;
  if (section === "metrics" || section === "m") return `m.${rest}`;
  if (OWN.includes(name)) return name;
  if (model.metrics.includes(name)) return `m.${name}`;
  if (model.byName.has(name)) return `c.${name}`;
  return null;
}

// Brushes: { column: [[low, high], ...] }; categories by their place among the values.
export function brushed(brushes, model) {
  const tests = Object.entries(brushes).filter(([, spans]) => spans.length).map(([column, spans]) => {
    const parameter = column.startsWith("c.") ? model.byName.get(column.slice(2)) : null;
    const codes = parameter?.discrete ? new Map(categories(parameter).map((v, i) => [v, i])) : null;
    return (run) => {
      const found = value(run, column);
      const at = codes ? codes.get(String(found)) : found;
      return spans.some(([low, high]) => (codes ? at >= low - 0.5 && at <= high + 0.5 : finite(at) && at >= low && at <= high));
    };
  });
  return (run) => tests.every((test) => test(run));
}

export const categories = (parameter) => (parameter.numeric ? [...parameter.values].filter(finite).sort((a, b) => a - b).map(String) : [...new Set(parameter.values.map(String))].sort((a, b) => a.localeCompare(b, "en", { numeric: true })));
