// The page of a run.
import { get, site, view } from "./api.js";
import { command, fill, flag, h, panel, patch, runLink, status, sweepLink, toggle } from "./dom.js";
import { axisOf, BOOKS, curveChart, families, legend, pointsOver, spansDecades } from "./curves.js";
import { ago, brief, finite, flat, local, plainly, short, span } from "./format.js";
import { CUT, FAILED } from "./model.js";
import { keptPanels } from "./tables.js";

const MOST_CHARTS = 24;
const MOST_POINTS = 8000;

export async function show(main, id, { crumbs }) {
  const page = new RunPage(main, id);
  await page.load();
  const { run } = page;
  crumbs(run.sweep ? sweepLink(run.sweep.id, run.sweep.name) : run.experiment && h("span", {}, run.experiment), h("span", {}, run.name));
  document.title = `${plainly(brief(run.name, 80))} · ${site}`;
  return page;
}

class RunPage {
  constructor(main, id) {
    Object.assign(this, { main, id, last: 0, columns: {}, axis: null, charts: new Map() });
    this.smooth = Number(view.get("smooth")) || 0;
    this.log = view.get("log");
    this.head = h("div");
    this.curves = h("div.grid");
    this.kept = h("div.grid", { style: { marginTop: "12px" } });
    this.rest = h("div.grid", { style: { marginTop: "12px" } });
  }

  async load() {
    const path = `/api/runs/${encodeURIComponent(this.id)}`;
    const [run, records] = await Promise.all([get(path), get(`${path}/records`)]);
    this.run = run;
    this.take(records, true);
    fill(this.main, this.head, this.tools(), this.curves, this.kept, this.rest);
    this.draw();
    this.loadKept();
  }

  // What the run has left: tables and files; drawn again only if there are others.
  async loadKept() {
    const { key, panels } = await keptPanels(this.id);
    if (key === this.keptKey) return;
    this.keptKey = key;
    fill(this.kept, panels);
  }

  take(answer, anew = false) {
    if (anew) this.columns = {};
    this.last = answer.last;
    if (!answer.axis) return;
    this.axis = answer.axis;
    this.rows = (anew ? 0 : this.rows || 0) + answer.rows;
    const seen = this.columns[this.axis] || [];
    const places = new Map(seen.map((x, i) => [x, i]));
    const names = new Set([...Object.keys(this.columns), ...Object.keys(answer.columns)]);
    const fresh = answer.columns[this.axis];
    for (const name of names) this.columns[name] ||= seen.map(() => null);
    fresh.forEach((x, k) => {
      let at = places.get(x);
      if (at === undefined) { at = this.columns[this.axis].length; places.set(x, at); for (const name of names) this.columns[name][at] = null; }
      for (const name of Object.keys(answer.columns)) if (answer.columns[name][k] !== null) this.columns[name][at] = answer.columns[name][k];
    });
  }

  tools() {
    const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: this.smooth, "aria-label": "Smoothing" });
    slider.addEventListener("input", () => { this.smooth = Number(slider.value); view.set({ smooth: this.smooth || null }); this.drawCurves(); });
    this.logButton = toggle("log scale", this.log === "1", (on) => { this.log = on ? "1" : "0"; view.set({ log: this.log }); this.drawCurves(); });
    return h("div.tools", { style: { margin: "2px 0 10px" } }, this.logButton, h("label", {}, "smoothing", slider));
  }

  draw() { this.drawHead(); this.drawCurves(); this.drawRest(); }

  drawHead() {
    const { run } = this;
    const tile = (name, ...words) => h("div.tile", {}, h("dt", {}, name), h("dd", {}, words));
    const marks = [], bag = finite(run.detail?.members);
    if (FAILED.has(run.status)) marks.push(flag(run.status, run.reason, "bad"));
    else if (["queued", "running"].includes(run.status)) marks.push(flag("so far", "the run is not over"));
    else if (run.status === "interrupted") marks.push(flag("unfinished", "it can be resumed"));
    else if (CUT.has(run.status)) marks.push(flag(run.status, run.reason || "its number does not count"));
    if (run.sweep && run.seeds < 2) marks.push(flag("1 seed", "this setting was run with one seed only", "plain"));
    // If another column than val_risk chose the best state.
    const by = [run.detail?.best_by].find((name) => name && name !== "val_risk" && finite(run.metrics[name]) && finite(run.best_epoch));
    const names = Object.keys(run.metrics).sort((a, b) => rank(a) - rank(b)).slice(0, 8);
    patch(this.head, h("div.head", {}, h("h1", { title: run.name }, brief(run.name, 160)), status(run.status), run.contaminated && flag("contaminated", "tuned on the test set", "bad"), h("span.dim", {}, run.reason)),
      warnings(run).map(([kind, words]) => h("p.warning", { class: kind }, words)),
      run.risk_in_units && h("p.dim", {}, `Risk: ${run.risk_in_units}.`),
      h("dl.tiles", {}, names.map((name) => tile(name, finite(run.metrics[name]) ? h("span", { title: run.metrics[name] }, short(run.metrics[name], 5)) : h("small", {}, "not finite"), bag && name === "val_risk" && h("small", { title: "each row is predicted by the members that held it out" }, " out of bag"), marks.map((m) => m.cloneNode(true)), run.contaminated && /test/.test(name) && flag("contaminated", "", "bad"))),
        by && tile(`best ${by}`, short(run.metrics[by], 5), h("small", {}, ` at epoch ${run.best_epoch}`)),
        finite(run.best_val_risk) && !bag && tile("best val_risk", short(run.best_val_risk, 5), finite(run.best_epoch) && h("small", {}, ` at epoch ${run.best_epoch}`)),
        tile(run.counted, run.epochs.toLocaleString("en"), run.max_epochs && run.max_epochs !== run.epochs ? h("small", {}, ` of ${run.max_epochs.toLocaleString("en")}`) : ""),
        finite(run.total_seconds) && tile("time", span(run.total_seconds), h("small", {}, seconds(run.seconds))),
        run.n_params !== null && tile("parameters", run.n_params.toLocaleString("en"))));
  }

  drawCurves() {
    const x = this.columns[this.axis] || [];
    const logged = Object.keys(this.columns).filter((n) => n !== this.axis && !["epoch", "step"].includes(n));
    const names = logged.filter((n) => this.columns[n].some(finite));
    const lost = logged.filter((n) => !names.includes(n));
    if (!names.length) { fill(this.curves, h("section.panel", {}, h("div.body", {}, h("div.empty", {}, this.run.status === "running" || this.run.status === "queued" ? "Nothing has been logged yet; curves appear here by themselves." : "This run logged no records.")))); this.charts.clear(); return; }
    // A constant learning rate is shown as a number, not as a curve.
    const flat = names.filter((n) => BOOKS.has(n) && names.length > 1 && x.length > 1 && this.columns[n].every((v) => v === this.columns[n][0]));
    const axes = new Map(names.map((n) => [n, axisOf(this.run, n, this.columns, this.axis)]));
    const all = families(names.filter((n) => !flat.includes(n))).flatMap(([label, list]) => {
      const known = [...new Set(list.map((n) => axes.get(n)))];
      return known.length === 1 ? [[label, list]] : known.map((axis) => { const some = list.filter((n) => axes.get(n) === axis); return [some.length > 1 ? `${label}, by ${axis}` : some[0], some]; });
    });
    const groups = all.slice(0, MOST_CHARTS);
    const key = JSON.stringify([groups, lost, groups.map(([, list]) => axes.get(list[0]))]);
    if (key !== this.drawnKey) {
      this.drawnKey = key;
      for (const one of this.charts.values()) one.chart.close();
      this.charts.clear();
      fill(this.curves, lost.length > 0 && h("section.panel", {}, h("div.body", {}, h("div.empty", {}, `No finite number was logged of ${lost.slice(0, 12).join(", ")}.`))), groups.map(([label, list], i) => {
        const made = panel(label, groups.length === 1 ? "" : i === 0 && list.length > 1 ? "s8" : "s4");
        const one = curveChart(`${label}, by ${axes.get(list[0])}`, i === 0 ? "tall" : list.length > 1 || i < 2 ? "tall" : "");
        made.body.append(one.element, list.length > 1 ? legend(list.map((name, k) => ({ name, colour: k }))) : "");
        this.charts.set(label, { chart: one, list, say: made.say, constant: (words) => made.add(` Constant: ${words}.`) });
        return made.root;
      }));
    }
    let logs = false;
    const mean = finite(this.run.detail?.members) ? `The mean of ${this.run.detail.members} members, over the epochs that all of them did.` : "";
    for (const [label, { chart, list, say }] of this.charts) {
      const by = axes.get(list[0]);
      const lines = list.map((name, k) => ({ name, ...pointsOver(this.columns, by, name), colour: k, dash: /^val|test/.test(name) && list.length > 1 && k > 1 }));
      const log = this.log ? this.log === "1" : spansDecades(lines);
      if (label === groups[0][0]) logs = log;  // the button tells of the first chart
      const marked = list.includes("val_risk") && finite(this.run.best_epoch) && by === "epoch";
      chart.show(lines, { log, smooth: this.smooth, axisName: by, mark: marked ? { x: this.run.best_epoch, words: `best, ${this.run.best_epoch}` } : null });
      const missing = list.filter((name) => this.columns[name].filter(finite).length < x.length && /risk/.test(name));
      say(...[label === groups[0][0] ? mean : "", list.includes("train_risk") && !mean && list.includes("val_risk") ? gap(this.run, this.columns) : "", missing.length && FAILED.has(this.run.status) ? " Where a line is broken the number was not finite." : "", label === groups[0][0] && this.rows > x.length ? ` ${x.length.toLocaleString("en")} of ${this.rows.toLocaleString("en")} records drawn, peaks kept.` : ""].filter(Boolean));
    }
    if (!this.log) this.logButton.setAttribute("aria-pressed", String(logs));
    if (flat.length) this.charts.get(groups[0][0])?.constant(flat.map((n) => `${n} ${short(this.columns[n][0])}`).join(", "));
    if (all.length > groups.length) this.curves.append(h("p.note", {}, `The first ${groups.length} of ${all.length} charts.`));
  }

  drawRest() {
    const { run } = this;
    const open = [...this.rest.querySelectorAll("details[open]")].map((d) => d.dataset.name);
    const config = panel("Config", "");
    config.body.append(facts(flat(run.config), true));
    const labels = Object.entries(run.labels || {}).map(([name, label]) => [name, Array.isArray(label) ? label.join(", ") : label]);
    if (labels.length) config.body.append(h("h3", {}, "Labels"), facts(Object.fromEntries(labels)));
    const origin = panel("Where it comes from", "");
    origin.body.append(...run.again.flatMap((a) => [h("h3", {}, a.what), command(a.command)]), facts(origins(run)));
    const members = run.members.length ? panel("Members", "") : null;
    members?.body.append(h("p.dim", {}, `This run is the average of ${run.members.length} runs.`), membersTable(run.members));
    const detail = Object.keys(run.detail || {}).length ? panel("Diagnostics", "") : null;
    detail?.body.append(facts(flat(run.detail)));
    const notices = run.notices.length ? panel("Notices", "") : null;
    notices?.body.append(h("div.bounded", { tabindex: "0", role: "group", "aria-label": "notices" }, run.notices.map((n) => h("p.warning", {}, n))));
    const logs = Object.keys(run.logs).length ? panel("What it printed", "") : null;
    if (logs) for (const [name, text] of Object.entries(run.logs)) logs.body.append(h("h3", {}, name), h("pre.log", { tabindex: "0", "aria-label": name }, text || "(nothing)"));
    const whole = JSON.stringify([run.config, run.labels, run.provenance, run.notices, run.logs, run.detail, run.status, run.checkpoint, run.model, run.members]);
    if (whole === this.drawnRest) return;
    this.drawnRest = whole;
    fill(this.rest, h("div.stack.s6", {}, members?.root, config.root, detail?.root, notices?.root), h("div.stack.s6", {}, origin.root), logs?.root);
    for (const box of this.rest.querySelectorAll("pre.log")) box.scrollTop = box.scrollHeight;
    for (const name of open) this.rest.querySelector(`details[data-name="${name}"]`)?.setAttribute("open", "");
  }

  async changed() {
    const path = `/api/runs/${encodeURIComponent(this.run.id)}`;
    const [run, records] = await Promise.all([get(path), get(`${path}/records?after=${this.last}`)]);
    // Another attempt drops records: draw all curves again.
    const anew = run.attempt !== this.run.attempt || run.epochs < this.run.epochs;
    this.run = run;
    if (!anew) this.take(records);
    // Live records come one by one; too many are read again, thinned.
    const many = (this.columns[this.axis] || []).length > MOST_POINTS;
    if (anew || many) this.take(await get(`${path}/records`), true);
    this.draw();
    this.loadKept();
  }
}

const rank = (name) => { const i = ["val_risk", "test_risk", "train_risk"].indexOf(name); return i < 0 ? 3 : i; };

function gap(run, columns) {
  const at = (columns[Object.keys(columns).find((n) => n === "epoch")] || []).indexOf(run.best_epoch);
  const [t, v] = [columns.train_risk?.[at], columns.val_risk?.[at]];
  return finite(t) && finite(v) && t > 0 ? `At the best epoch val_risk is ${short(v / t, 3)} times train_risk.` : "";
}

function seconds(parts) {
  const known = Object.entries(parts).filter(([k, v]) => k !== "total" && finite(v));
  return known.length > 1 || (known.length && "total" in parts) ? ` ${known.map(([k, v]) => `${k} ${span(v)}`).join(", ")}` : "";
}

function warnings(run) {
  const said = [];
  if (run.contaminated) said.push(["bad", "Contaminated: tuned on the test set; its test risk estimates nothing."]);
  if (run.status === "running" && run.silent_s > 60) said.push(["bad", `No sign of life for ${span(run.silent_s)}: its process has probably ended.`]);
  const missing = Object.keys(run.metrics).filter((m) => !finite(run.metrics[m]));
  if (missing.length) said.push(["", `Not finite: ${missing.slice(0, 8).join(", ")}.`]);
  if (run.provenance?.git?.dirty) said.push(["", "The code had changes that are in no commit."]);
  return said;
}

function origins(run) {
  const p = run.provenance || {};
  const { git, versions, earlier, argv, ...more } = p;
  return {
    id: run.id, ...(run.sweep ? { sweep: sweepLink(run.sweep.id, run.sweep.name), ...(run.point !== null ? { setting: `${run.point}${run.replicate !== null ? `, replicate ${run.replicate}` : ""}; ${run.seeds} run${run.seeds === 1 ? "" : "s"} of it` } : {}) } : {}),
    experiment: run.experiment, agent: run.agent, attempt: run.attempt, begun: run.started ? `${local(run.started)} (${ago(run.started)})` : null, ended: run.finished && local(run.finished), checkpoint: run.checkpoint, model: run.model,
    commit: git?.commit ? `${git.commit.slice(0, 12)}${git.dirty ? " and changes" : ""}` : null, ...flat(more), ...(versions ? Object.fromEntries(Object.entries(versions).map(([k, v]) => [`version of ${k}`, v])) : {}), ...(git?.folder ? { "folder in git": git.folder } : {}), ...Object.assign({}, ...(earlier || []).map(attempt)),
  };
}

function attempt(before, i) {
  const { until_epoch: until, failed, attempt: n, ...more } = before;
  const name = failed === undefined ? `resumed (${i + 1})` : `attempt ${n}`;
  const said = failed === undefined ? `after epoch ${until}` : `failed: ${failed}`;
  return { [name]: said, ...Object.fromEntries(Object.entries(flat(more)).map(([k, v]) => [`${name}: ${k}`, v])) };
}

function membersTable(members) {
  const names = [...new Set(members.flatMap((m) => Object.keys(m.metrics)))].sort((a, b) => rank(a) - rank(b)).slice(0, 4);
  const number = (value) => h("td.num", {}, finite(value) ? short(value, 4) : "");
  return h("div.bounded", { tabindex: "0", role: "group", "aria-label": "members" }, h("table.plain", {},
    h("thead", {}, h("tr", {}, h("th", {}, "run"), h("th", {}, "status"), h("th.num", {}, "best epoch"), names.map((name) => h("th.num", {}, name)))),
    h("tbody", {}, members.map((m) => h("tr", {}, h("td", {}, runLink(m, m.name)), h("td", {}, status(m.status)), number(m.best_epoch), names.map((name) => number(m.metrics[name])))))));
}

function facts(values, everything = false) {
  const rows = Object.entries(values).filter(([, v]) => everything || (v !== null && v !== undefined && v !== ""));
  const said = (v) => { if (v instanceof Node) return v; if (finite(v)) return short(v, 8); const text = v === null ? "none" : short(v); if (text.length <= 300) return text; return h("details", {}, h("summary", {}, `${text.slice(0, 200)}… (${text.length.toLocaleString("en")} characters, show)`), h("pre.log", { tabindex: "0" }, text.slice(0, 200000))); };
  if (!rows.length) return h("p.dim", {}, "Nothing.");
  const search = rows.length > 40 ? h("input", { type: "search", placeholder: `find in ${rows.length}`, "aria-label": "Find a parameter" }) : null;
  const lines = rows.map(([k, v]) => [k, h("tr", {}, h("td", { title: k }, k), h("td", {}, said(v)))]);
  search?.addEventListener("input", () => { for (const [k, line] of lines) line.hidden = !k.toLowerCase().includes(search.value.toLowerCase()); });
  return h("div", {}, search, h("div.bounded", { tabindex: "0", role: "group", "aria-label": "facts" }, h("table.plain.facts", {}, h("tbody", {}, lines.map(([, line]) => line)))));
}
