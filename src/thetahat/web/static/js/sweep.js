// The page of a sweep.
import { download, get, post, site, view } from "./api.js";
import { axis, base, chart, css, drawWhenIdle, ramp, tip, tooltip } from "./charts.js";
import { ask, command, fill, fillSelect, flag, go, h, panel, patch, save, select, status, tell, toggle } from "./dom.js";
import { brief, center, finite, many, plainly, short, span } from "./format.js";
import { best, brushed, categories, condition, counts, CUT, FAILED, kindOf, Model, OPEN, solutions, sum, tied, WELL } from "./model.js";
import { contourChart, reach, sliceChart, timeChart } from "./overview.js";
import { axesOf, parallelChart } from "./parallel.js";
import { ParetoPanel } from "./pareto.js";
import { RowsTable, rowsNote } from "./rows.js";
import { tablesPanel } from "./tables.js";
import { columnsOf, FEW, flagsOf, makeTable, settingsTable, tableHeight, tableLibrary, title } from "./table.js";

export async function show(main, id, { crumbs }) {
  // Ask for the tables beside the runs: bands are then drawn in their place, before what is below.
  const tables = tablesPanel(id);
  tables.catch(() => {}); // reported where it is shown
  const answer = await get(`/api/sweeps/${encodeURIComponent(id)}${view.get("sample") ? `?sample=${encodeURIComponent(view.get("sample"))}` : ""}`);
  const page = new SweepPage(new Model(answer), main);
  page.tables = tables;
  crumbs(page.model.sweep.project ? h("span", {}, page.model.sweep.project) : null, h("span", {}, page.model.sweep.name));
  document.title = `${plainly(brief(page.model.sweep.name, 80))} · ${site}`;
  await page.settle();
  if (page.model.runs.length <= LARGE && !page.model.sampled) await tableLibrary();
  page.build();
  return page;
}

const LARGE = 2000;
const RESAMPLE_MS = 10000;
const list = (text) => text.split(",").filter(Boolean);

class SweepPage {
  constructor(model, main) {
    Object.assign(this, { model, main, ranking: [], brushes: {}, kept: new Set(), effects: null, selected: [] });
    this.read();
  }

  // The view, from the address.
  read() {
    const { model } = this;
    const wanted = view.get("metric");
    this.metric = wanted || (model.sweep.metric && (model.metrics.includes(model.sweep.metric) || !model.metrics.length) ? model.sweep.metric : model.metrics[0]) || model.sweep.metric || "";
    const goal = view.get("goal") || (this.metric === model.sweep.metric ? model.sweep.goal : model.sweep.directions?.[this.metric] === "max" ? "maximize" : "minimize");
    this.sign = goal === "maximize" ? -1 : 1;
    this.where = view.get("where");
    this.x = view.get("x", "run");
    this.axes = list(view.get("axes"));
    this.columns = list(view.get("cols"));
    this.sort = view.get("sort", this.model.standing?.replicated ? "setting" : this.metric ? `${this.sign < 0 ? "-" : ""}m.${this.metric}` : "");
    this.group = view.get("group");
    this.over = list(view.get("over"));
    const log = view.get("log");
    this.logY = log ? log === "1" : this.autoLog();
    this.brushes = readBrushes(view.get("brush"));
    this.pickParameters();
  }

  // The ranking of settings by the shown metric; nothing without replicates.
  async settle() {
    const { model } = this;
    const goal = this.sign < 0 ? "maximize" : "minimize";
    const before = model.standing;
    const fits = (one) => one && one.metric === this.metric && one.goal === goal;
    if (model.sampled && this.metric && (model.sampled.metric !== this.metric || model.sampled.goal !== goal)) model.take(await get(this.samplePath(goal)), true);
    if (fits(model.told)) model.settle(model.told);
    else if (model.sampled) model.settle(null);
    else if (this.metric && model.runs.length && ((model.sweep.plan?.replicates || 1) > 1 || model.repeated)) model.settle(await get(`/api/sweeps/${encodeURIComponent(model.sweep.id)}/settings?metric=${encodeURIComponent(this.metric)}&goal=${goal}`));
    else model.settle(null);
    if (model.standing?.replicated && !before?.replicated && !view.get("sort")) this.sort = "setting";
  }

  samplePath(goal = this.sign < 0 ? "maximize" : "minimize") {
    const words = new URLSearchParams({ metric: this.metric, goal, ...(view.get("sample") ? { sample: view.get("sample") } : {}) });
    return `/api/sweeps/${encodeURIComponent(this.model.sweep.id)}?${words}`;
  }

  autoLog() { return reach(this, false).log; }

  get first() { return this.model.sampled ? this.model.sampled.first : this.model.runs.length ? this.model.runs[0].number : 1; }

  pickParameters() {
    const names = [...new Set([...this.ranking, ...this.model.varying.map((p) => p.name)])].filter((n) => this.model.byName.get(n)?.varies);
    const smooth = names.filter((n) => this.model.byName.get(n).numeric && !/seed/i.test(n));
    const [a, b] = [...new Set([...smooth, ...names.filter((n) => !/seed/i.test(n)), ...names])];
    this.slice = view.get("slice") || a || "";
    this.cx = view.get("cx") || a || "";
    this.cy = view.get("cy") || (b !== this.cx ? b : a) || "";
  }

  build() {
    const { main } = this;
    this.head = h("div.head");
    this.warnings = h("div");
    this.tiles = h("dl.tiles");
    this.body = h("div");
    this.note = h("p.note.of-sample", { hidden: true });
    fill(main, this.head, this.tiles, this.warnings, this.note, this.body);
    this.drawHead();
    if (!this.model.runs.length) { this.drawEmpty(); return; }
    this.drawn = true;
    this.loadEffects();
    this.buildPanels();
    this.refilter(false);
    if (this.over.length) this.loadGroups();
    this.loadTables();
  }

  // The tables that runs left behind; a sweep without any has no panel.
  async loadTables() {
    const { id, name } = this.model.sweep;
    let root = null;
    const asked = this.tables || tablesPanel(id);
    this.tables = null;
    try { root = await asked; } catch (error) { root = h("p.warning.bad", {}, `The tables of ${name}: ${error.message}`); }
    if (!root) return;
    this.tablesBox.replaceWith(root);
    this.tablesBox = root;
  }

  drawEmpty() {
    fill(this.body, h("section.panel", {}, h("div.body", {}, h("div.empty", {}, h("h2", {}, "No run has begun yet"), h("p", {}, "Start an agent, here or on any machine that reaches the store:"),
      command(`thetahat agent ${this.model.sweep.id}${window.thetahatStore}`), h("p", {}, "This page fills by itself.")))), this.filePanel());
  }

  drawHead() {
    const { sweep, counts: n, agents, runs } = this.model;
    if (this.agentsBox) this.drawAgents();
    const busy = agents.filter((a) => a.alive);
    patch(this.head, h("h1", { title: sweep.name }, brief(sweep.name, 160)), status(sweep.state, sweep.reason),
      sweep.contaminated && flag("contaminated", "it tunes on the test set, so its best value is no estimate of the risk", "bad"),
      h("span.dim", {}, [sweep.method, ...(this.model.front?.objectives.map((one) => `${one.goal} ${one.name}`) || [sweep.metric && `${sweep.goal} ${sweep.metric}`])].filter(Boolean).join(" · ")), h("span.spacer"), this.buttons());
    const { sampled, total: begun } = this.model;
    this.note.hidden = !sampled;
    if (sampled) fill(this.note, rowsNote(sampled));
    const over = begun - (sampled ? sum(n, OPEN) : runs.filter((run) => OPEN.has(run.status)).length);
    const [bad, cut] = [sum(n, FAILED), sum(n, CUT)];
    const total = sweep.points ?? sweep.plan?.count ?? null;
    const tile = (name, ...words) => h("div.tile", {}, h("dt", {}, name), h("dd", {}, words));
    const passed = sampled ? sum(n, WELL) : runs.filter((run) => WELL.has(run.status) && /; accepted$/.test(run.reason || "")).length;
    const found = sampled ? [] : solutions(runs);
    const checked = n.rejected || (!sampled && passed);
    const times = runs.filter(counts).map((run) => run.time).filter(finite);
    patch(this.tiles,
      this.leadTile(),
      tile("runs over", `${over.toLocaleString("en")}`, h("small", {}, total ? ` of ${total.toLocaleString("en")}` : ""), total ? progress(over - bad - cut, bad + cut, n.running || 0, total) : ""),
      tile("running", n.running || 0, n.queued ? h("small", {}, ` + ${n.queued} queued`) : ""),
      tile("failed", bad ? bad.toLocaleString("en") : "none", bad ? h("small", {}, ` of ${begun.toLocaleString("en")}${n.diverged ? `, ${n.diverged.toLocaleString("en")} diverged` : ""}${n.rejected ? `, ${n.rejected.toLocaleString("en")} rejected` : ""}`) : "", cut ? h("small", { title: "interrupted, cancelled, or nothing moved: their numbers do not count" }, `${bad ? "; " : " "}${cut} not finished`) : ""),
      checked ? tile("accepted", passed.toLocaleString("en"), h("small", { title: "runs whose solutions passed their checks, of all that are over" }, ` of ${over.toLocaleString("en")}${found.length ? ": " + found.map(([name, count]) => `${count.toLocaleString("en")} ${name}`).join(", ") : ""}`)) : null,
      tile("agents", busy.length, h("small", {}, busy.length ? ` ${busy.map((a) => a.host).filter((v, i, all) => all.indexOf(v) === i).slice(0, 2).join(", ")}` : " none at work")),
      times.length ? tile("time of a run", span(median(times)), h("small", {}, ` median of ${times.length.toLocaleString("en")}${sampled ? " drawn by lot" : ""}`)) : null);
    const reasons = new Map();
    for (const run of sampled ? [] : runs) {
      if (!FAILED.has(run.status)) continue;
      const kind = kindOf(run);
      const one = reasons.get(kind) || { status: run.status, why: run.reason || "no reason is known", n: 0, differ: false };
      one.n += 1;
      one.differ ||= run.reason !== one.why;
      reasons.set(kind, one);
    }
    const worst = (sampled ? sampled.reasons : [...reasons.values()].sort((a, b) => b.n - a.n)).slice(0, 2);
    patch(this.warnings,
      sweep.contaminated && h("p.warning.bad", {}, h("b", {}, "Contaminated. "), `This sweep tunes on the test set (${sweep.metric}), so its best value is no estimate of the risk. Tune on val_risk to keep the test set clean.`),
      sweep.changed_code?.length > 0 && h("p.warning", {}, h("b", {}, "Different programs. "), `${sweep.changed_code.join(", ")} changed between runs: not all are of one program.`),
      worst.map(({ status: how, why, n: k, differ }) => h("p.warning", {}, h("b", {}, `${many(k, "run")} ${how}${differ ? ", such as" : ""}: `), (why || "no reason is known").slice(0, 300))));
  }

  // Show that several share the first place.
  tiedFlag(n, what) { return n > 1 && flag(`${n} alike`, `${n} ${what} have this number: it chooses none of them`, "plain"); }

  // The best: with replicates a setting by its median, or the mean of its folds; else a run.
  leadTile() {
    const { runs, standing, front } = this.model;
    const tile = (name, ...words) => h("div.tile", {}, h("dt", {}, name), h("dd", {}, words));
    if (front) return h("div.tile.lead", {}, h("dt", {}, "Pareto front"), h("dd", {}, front.points.length.toLocaleString("en"), h("small", {}, ` of ${many(front.among, front.replicated ? "setting" : "run")}`)), h("dd.more", {}, "that no other improves on"));
    if (standing?.replicated) {
      const { lead } = standing;
      if (!lead) return tile(`best ${standing.word} ${this.metric}`, h("small", {}, "none yet"));
      const words = Object.entries(lead.config).filter(([k]) => this.model.byName.get(k)?.varies).map(([k, v]) => `${k}=${short(v, 3)}`).join(", ");
      const marks = [this.tiedFlag(lead.tied, "settings"), lead.contaminated && flag("contaminated", "tuned on the test set: its test numbers estimate nothing", "bad"), lead.n < 2 && flag("1 seed", "one run only: no spread is known", "plain"), lead.failed > 0 && flag(`${lead.failed} failed`, "of its runs", "bad"), lead.unfinished > 0 && flag(`${lead.unfinished} unfinished`, "of its runs"), !lead.settled && flag("few ended", "fewer than half of the runs of any setting have ended well", "bad")];
      return h("div.tile.lead", {}, h("dt", {}, `best ${standing.word} ${this.metric}`), h("dd", {}, h("a", { href: `/compare?runs=${lead.ids.slice(0, 60).map(encodeURIComponent).join(",")}&bands=1`, title: `the setting ${words}` }, short(center(lead), 5)), marks),
        h("dd.more", {}, `${lead.says}: ${short(lead.low, 4)} to ${short(lead.high, 4)}; n=${lead.n} of ${lead.runs}`), words && h("dd.more", { title: words }, words));
    }
    const lead = best(runs, this.metric, this.sign);
    return tile(`best ${this.metric || "metric"}`, lead ? [h("a", { href: `/run/${lead.id}`, title: lead.name }, short(lead.metrics[this.metric], 5)), this.tiedFlag(this.model.sampled?.tied ?? tied(runs, this.metric, lead), "runs"), flagsOf(lead, this), !this.model.replicated && flag("1 seed", "no setting was run with more than one seed: part of this is luck", "plain")] : h("small", {}, "none yet"));
  }

  buttons() {
    if (document.documentElement.dataset.reads !== undefined) return "";
    const { sweep } = this.model;
    const over = sweep.state === "cancelled" || sweep.state === "finished";
    const act = async (action) => {
      try { await post(`/api/sweeps/${encodeURIComponent(sweep.id)}/${action}`); } catch (error) { await tell("That did not work", error.message); }
      await this.changed();
    };
    const cancel = async () => { if (await ask(`Cancel ${sweep.name}?`, "Its runs end now, and it begins no others. This cannot be taken back.", "Cancel the sweep")) await act("cancel"); };
    const failed = this.model.sampled ? this.model.counts.failed || 0 : this.model.runs.filter((run) => run.status === "failed").length;
    const retry = async () => {
      const many = failed === 1 ? "1 failed run" : `${failed.toLocaleString("en")} failed runs`;
      const told = `They wait in the queue from their beginning${over ? ", and no other runs begin" : ""}. Work on them with: thetahat agent ${sweep.id}${window.thetahatStore}`;
      if (await ask(`Run ${many} again?`, told, "Run them again")) await act("retry-failed");
    };
    return h("div.tools", {},
      failed > 0 && h("button", { type: "button", onclick: retry, title: "After the program was fixed: these runs and no others" }, "Retry failed"),
      sweep.state === "running" && h("button", { type: "button", onclick: () => act("pause"), title: "Begin no new runs" }, "Pause"),
      sweep.state === "paused" && h("button", { type: "button", onclick: () => act("resume"), title: "Let new runs begin" }, "Resume"),
      !over && h("button.danger", { type: "button", onclick: cancel }, "Cancel"));
  }

  buildPanels() {
    const { model } = this;
    drawWhenIdle(model.runs.length <= LARGE);
    this.time = timeChart(this);
    this.parallel = parallelChart(this, () => this.refilter());
    this.sliced = sliceChart(this);
    this.contour = contourChart(this);
    const metricBox = select("metric", model.metrics.length ? model.metrics : [this.metric], this.metric, (m) => { view.set({ metric: m, goal: null, log: null, sort: null }); this.reread(); });
    const goalBox = select("which is better", [["minimize", "lower is better"], ["maximize", "higher is better"]], this.sign < 0 ? "maximize" : "minimize", (g) => { view.set({ goal: g, sort: null }); this.reread(); });
    const logY = toggle("log", this.logY, (on) => { view.set({ log: on ? "1" : "0" }); this.logY = on; this.time.draw(); this.sliced.draw(); }, "Logarithmic axis");
    const xBox = select("along", [["run", "by run"], ["time", "by time"]], this.x, (x) => { view.set({ x: x === "run" ? null : x }); this.x = x; this.time.draw(); });
    this.timePanel = panel("Metric over time", "s8", [metricBox, goalBox, xBox, logY]);
    this.timePanel.body.append(this.time.element, timeLegend(model.standing));
    this.effectPanel = panel("What matters", "s4");
    this.effectPanel.body.append(h("div.empty", {}, "Being computed…"));
    this.parallelPanel = panel("Parallel coordinates", "", [rampLegend(), h("button", { type: "button", onclick: () => this.clearBrushes(), title: "Remove what was drawn on the axes" }, "Clear")]);
    this.parallelPanel.body.append(this.parallel.element);
    const varying = model.varying.map((p) => p.name);
    this.sliceBox = select("parameter of the slice", varying, this.slice, (p) => { this.slice = p; view.set({ slice: p }); this.drawChosen(); });
    this.slicePanel = panel("Slice", "s6", [this.sliceBox]);
    this.slicePanel.body.append(this.sliced.element);
    this.cxBox = select("along", varying, this.cx, (p) => { this.cx = p; view.set({ cx: p }); this.contour.draw(); });
    this.cyBox = select("up", varying, this.cy, (p) => { this.cy = p; view.set({ cy: p }); this.contour.draw(); });
    this.contourPanel = panel("Contour", "s6", [this.cxBox, this.cyBox, rampLegend()]);
    this.contourPanel.body.append(this.contour.element);
    this.contourPanel.say(`Each dot is a run, coloured by ${model.standing?.replicated ? "its setting's rank" : "its rank"}. The ground is a local mean of ranks, blank where no run is near.`);
    this.tablePanel = this.buildTable();
    this.groupPanel = this.buildGroups();
    this.tablesBox ||= h("div", { hidden: true });
    this.pareto = model.front ? new ParetoPanel(this) : null;
    fill(this.body, h("div.grid", {}, this.pareto?.root, this.timePanel.root, this.effectPanel.root, this.tablesBox, model.varying.length > 0 && this.parallelPanel.root,
      model.varying.length > 0 && this.slicePanel.root, model.varying.length > 0 && this.contourPanel.root, this.tablePanel.root, this.groupPanel.root, this.filePanel()));
  }

  filePanel() {
    const { sweep } = this.model;
    const made = panel("Sweep file and agents", "");
    this.agentsBox = h("div.s6.scroll", { tabindex: "0", role: "group", "aria-label": "agents" });
    made.body.append(command(`thetahat agent ${sweep.id}${window.thetahatStore}`), h("div.grid", {}, h("div.s6", {}, h("pre.log", { tabindex: "0", "aria-label": "sweep file" }, sweep.text || "")), this.agentsBox));
    this.drawAgents();
    return made.root;
  }

  drawAgents() {
    const { agents } = this.model;
    const heard = (a) => (a.ended ? "" : a.alive ? `${span(Math.max(0, a.silent_s))} ago` : flag(`silent for ${span(a.silent_s)}`, "it has probably died", "bad"));
    const row = (a) => h("tr", {}, h("td", {}, a.id), h("td", {}, `${a.host} (${a.pid})`), h("td", {}, a.ended ? "ended" : a.doing || ""), h("td", {}, heard(a)));
    fill(this.agentsBox, agents.length ? h("table.plain", {}, h("thead", {}, h("tr", {}, ["agent", "machine", "doing", "heard of"].map((w) => h("th", {}, w)))), h("tbody", {}, agents.slice(0, 30).map(row))) : h("p.dim", {}, "No agent has worked on it yet."));
  }

  buildTable() {
    const filter = h("input", { type: "search", value: this.where, placeholder: "filter: lr>0.01 status=finished otter", "aria-label": "Filter runs", size: 34, title: "Words are looked for in names; column=value, <, <=, >, >=, !=, ~ (contains) and width in (8, 16) test columns" });
    let waiting;
    filter.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => { this.where = filter.value; view.set({ where: this.where }); this.refilter(); }, 150); });
    this.filterBox = filter;
    const groupBox = select("group by", [["", "no groups"], ...this.model.varying.filter((p) => p.few).map((p) => [p.name, `group: ${p.name}`])], this.group, (g) => { this.group = g; view.set({ group: g }); this.remakeTable(); });
    this.compareButton = h("button", { type: "button", disabled: true, onclick: () => { go(`/compare?runs=${this.selected.map(encodeURIComponent).join(",")}`); } }, "Compare");
    const out = (format) => h("button", { type: "button", onclick: () => this.export(format), title: `The rows selected, else all that pass the filter, as ${format.toUpperCase()}` }, format === "csv" ? "CSV" : "LaTeX");
    this.chips = h("div.chips");
    this.countText = h("span.dim.small", { role: "status" });
    const made = panel("Runs", "", [filter, !this.model.sampled && groupBox, this.columnMenu(), this.compareButton, out("csv"), out("latex")]);
    made.body.append(h("div.tools", {}, this.countText, this.chips), h("div"));
    this.tableBox = made.body.lastChild;
    return made;
  }

  columnMenu() {
    const { all, shown } = columnsOf(this);
    const now = new Set(this.columns.length ? this.columns : shown);
    const search = h("input", { type: "search", placeholder: "which column?", "aria-label": "Find a column" });
    const rows = all.map((c) => { const box = h("input", { type: "checkbox", checked: now.has(c) }); box.addEventListener("change", () => { box.checked ? now.add(c) : now.delete(c); this.columns = all.filter((one) => now.has(one)); view.set({ cols: this.columns.join(",") }); this.remakeTable(); }); return [c, h("label", {}, box, title(c, this.model), h("span.dim", {}, c.startsWith("c.") ? " config" : c.startsWith("m.") ? " metric" : ""))]; });
    search.addEventListener("input", () => { for (const [c, row] of rows) row.hidden = !title(c, this.model).toLowerCase().includes(search.value.toLowerCase()); });
    const usual = h("button", { type: "button", onclick: () => { view.set({ cols: null }); this.columns = []; const { shown: back } = columnsOf(this); now.clear(); back.forEach((c) => now.add(c)); rows.forEach(([c, row]) => { row.firstChild.checked = now.has(c); }); this.remakeTable(); } }, "As usual");
    return h("details.menu", {}, h("summary.button", {}, "Columns"), h("div", {}, h("div.tools", {}, search, usual), h("div.list", {}, rows.map(([, row]) => row))));
  }

  // What the axes of the parallel coordinates keep, as the server reads it.
  brushQuery() {
    return Object.entries(this.brushes).filter(([, spans]) => spans.length).map(([column, spans]) => {
      const parameter = column.startsWith("c.") ? this.model.byName.get(column.slice(2)) : null;
      if (!parameter?.discrete) return { column, spans };
      return { column, words: categories(parameter).filter((_, i) => spans.some(([low, high]) => i >= low - 0.5 && i <= high + 0.5)) };
    });
  }

  async fillRows() {
    if (!this.table) {
      this.table = new RowsTable(this.tableBox, this, {
        sorted: (sort) => { this.sort = sort; view.set({ sort }); },
        selected: (ids) => this.choose(ids),
        counted: ({ n, lost, error }) => this.say(n, lost, error?.message),
      });
      this.table.ready = Promise.resolve();
    }
    await this.table.load();
  }

  choose(ids) {
    this.selected = ids;
    view.set({ sel: ids.slice(0, 60).join(",") });
    this.compareButton.disabled = ids.length < 1;
    this.compareButton.textContent = ids.length ? `Compare ${ids.length}` : "Compare";
  }

  // Say how many runs pass the filter.
  say(n, lost, error) {
    const { total } = this.model;
    const count = n === total ? many(total, "run") : `${n.toLocaleString("en")} of ${many(total, "run")}`;
    fill(this.countText, error ? h("span.flag.bad", {}, error) : [count, lost?.length > 0 && h("span.flag", {}, `no run's name contains ${lost.map((word) => `“${word}”`).join(", ")}`)]);
    if (this.model.sampled) { if (!error) this.main.dataset.rows = String(n); if (error) this.filterBox.setAttribute("aria-invalid", "true"); else this.filterBox.removeAttribute("aria-invalid"); }
  }

  remakeTable() {
    this.table?.close();
    const box = h("div");
    this.tableBox.replaceWith(box);
    this.tableBox = box;
    this.table = null;
    this.fillTable();
  }

  // Build the table of thousands of runs when it comes near.
  near() {
    if (this.model.runs.length <= LARGE || this.table || this.seen) return true;
    if (!this.sight) {
      this.sight = new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) { this.sight.disconnect(); this.sight = null; this.seen = true; this.fillTable(); } }, { rootMargin: "300px 0px" });
      this.sight.observe(this.tablePanel.root);
      // Load the table's library after drawing what is visible.
      if (!this.model.sampled) setTimeout(() => requestIdleCallback(() => tableLibrary().catch(() => {})), 1000);
    }
    return false;
  }

  async fillTable() {
    if (!this.near()) {
      this.tableBox.style.minHeight = `${tableHeight(this.model.total)}px`;
      this.main.dataset.rows = String(this.model.sampled ? this.model.total : this.kept.size);
      return;
    }
    this.tableBox.style.minHeight = "";
    // A condition that is being typed is asked for when it is whole.
    if (this.model.sampled) { if (!this.filterError) await this.fillRows(); return; }
    const rows = this.model.runs.filter((run) => this.kept.has(run.id));
    if (!this.table) {
      const mine = makeTable(this.tableBox, this, rows, {
        sorted: (sort) => { if (!this.settled) return; this.sort = sort; view.set({ sort }); },
        selected: (ids) => { if (this.settled) this.choose(ids); },
      });
      this.table = mine;
      await mine.ready;
      this.settled = true;
      // The way back from a comparison finds what was chosen.
      const chosen = (this.selected.length ? this.selected : list(view.get("sel"))).filter((id) => this.kept.has(id));
      if (chosen.length) mine.table.selectRow(chosen);
      this.main.dataset.rows = String(rows.length);
      if (rows.length === this.kept.size && rows.every((run) => this.model.byId.get(run.id) === run)) return;
    }
    await this.table.ready;
    const chosen = this.selected.filter((id) => this.kept.has(id));
    await this.table.table.replaceData(this.model.runs.filter((run) => this.kept.has(run.id)));
    if (chosen.length) this.table.table.selectRow(chosen);
    this.main.dataset.rows = String(rows.length);
  }

  // Filter the runs by words and brushes, then update all views.
  refilter(write = true) {
    const { model } = this;
    let passes = () => true;
    try { passes = condition(this.where, model); this.filterBox.setCustomValidity(""); this.filterBox.removeAttribute("aria-invalid"); this.filterError = ""; } catch (error) { this.filterError = error.message; this.filterBox.setAttribute("aria-invalid", "true"); }
    const inside = brushed(this.brushes, model);
    this.kept = new Set(model.runs.filter((run) => passes(run) && inside(run)).map((run) => run.id));
    if (write) view.set({ brush: writeBrushes(this.brushes) });
    const active = Object.entries(this.brushes).filter(([, s]) => s.length);
    fill(this.chips, active.map(([column, spans]) => h("button.chip", { type: "button", title: "Remove this filter", onclick: () => { this.brushes[column] = []; this.parallel.brush(); this.refilter(); } }, `${column.slice(2)} ${this.saidSpan(column, spans)}`)));
    if (!model.sampled || this.filterError) this.say(this.kept.size, passes.lost, this.filterError);
    else if (!this.table && this.kept.size === model.runs.length) this.say(model.total);
    this.draw(write);
    return this.fillTable();
  }

  saidSpan(column, spans) {
    const p = column.startsWith("c.") ? this.model.byName.get(column.slice(2)) : null;
    if (p?.discrete) { const words = categories(p).filter((_, i) => spans.some(([a, b]) => i >= a - 0.5 && i <= b + 0.5)); return `= ${words.slice(0, 4).join(", ")}${words.length > 4 ? ", …" : ""}`; }
    return spans.map(([a, b]) => `${short(a, 3)} to ${short(b, 3)}`).join(", ");
  }

  clearBrushes() {
    for (const column of Object.keys(this.brushes)) this.brushes[column] = [];
    this.parallel.brush();
    this.refilter();
  }

  draw(onlyFiltered = false) {
    this.pareto?.draw();
    this.time.draw();
    this.drawChosen();
    if (onlyFiltered) this.parallel.again(); else this.parallel.draw();
    const without = this.model.sampled?.without ?? this.model.runs.filter((run) => !finite(run.metrics[this.metric]) && !FAILED.has(run.status)).length;
    this.timePanel.say(without ? `${many(without, "run")} without a finite ${this.metric || "metric"} ${without === 1 ? "is" : "are"} not drawn.` : "Click a dot to open its run.");
    const notes = ["Drag along an axis to filter the table; click the axis to clear the filter. With the keyboard: Tab to an axis."];
    if (axesOf(this).length - 1 < this.model.varying.length) notes.push(`The ${axesOf(this).length - 1} that matter most of ${this.model.varying.length} parameters.`);
    if (!this.model.runs.every(counts)) notes.push("Runs that failed or did not finish are left out.");
    this.parallelPanel.say(notes.join(" "));
  }

  // The charts of chosen parameters: by hand, or by importance.
  drawChosen() {
    this.sliced.draw();
    this.contour.draw();
    const sliced = this.model.byName.get(this.slice);
    this.slicePanel.say(`${this.metric} against ${this.slice}${sliced?.discrete ? "; the line joins the medians" : ""}.`);
  }

  // Ask for the numbers of a panel. A refusal is shown in it, and it is asked again when the store changes.
  async ask(path, body) {
    try { return await get(path); } catch (error) {
      if (error.code === undefined) throw error;
      this.refused = true;
      fill(body(), h("p.warning.bad", {}, error.message));
      return null;
    }
  }

  async loadEffects() {
    const { sweep } = this.model;
    if (!this.metric) { this.drawEffects({ n: 0, rest_on: 0, settings: 0, left_out: {}, effects: [] }); return; }
    const found = await this.ask(`/api/sweeps/${encodeURIComponent(sweep.id)}/importance?metric=${encodeURIComponent(this.metric)}&goal=${this.sign < 0 ? "maximize" : "minimize"}`, () => this.effectPanel.body);
    if (!found) return;
    const before = this.ranking.length;
    const drawn = [this.slice, this.cx, this.cy].join();
    this.ranking = found.effects.map((e) => e.name);
    this.drawEffects(found);
    if (!before) { this.pickParameters(); fillSelect(this.sliceBox, this.model.varying.map((p) => p.name), this.slice); fillSelect(this.cxBox, this.model.varying.map((p) => p.name), this.cx); fillSelect(this.cyBox, this.model.varying.map((p) => p.name), this.cy); if ([this.slice, this.cx, this.cy].join() !== drawn) this.drawChosen(); if (axesOf(this).length - 1 < this.model.varying.length) { this.parallel.draw(); if (!this.columns.length && this.model.varying.length > 12) this.remakeTable(); } }
  }

  drawEffects({ n, rest_on: drawn, settings, left_out: left, caution, effects }) {
    const top = Math.max(0.01, ...effects.map((e) => Math.max(e.importance || 0, 0)));
    const rows = effects.slice(0, 14).map((e) => {
      const weak = e.importance !== null && (e.floor === null || e.importance <= e.floor);
      // If nothing matters, chance may reach more than all importances together.
      const floor = e.floor === null ? null : Math.min(1, e.floor);
      const bar = e.importance === null ? h("span.dim", {}, settings < 10 ? "too few settings" : "nothing to say") : h("div.meter", { title: `share ${short(e.importance, 3)}; by chance ${e.floor === null || e.floor > 1 ? "any: more than all together" : `up to ${short(e.floor, 3)}`}` }, h("i", { style: { width: `${(100 * e.importance) / top}%` } }), floor !== null && h("b", { style: { left: `${Math.min(99, (100 * floor) / top)}%` } }));
      return h("tr", { class: weak ? "weak" : "" }, h("td.name", { title: e.name }, e.name), h("td", {}, bar, h("span.hidden-text", {}, e.importance === null ? "" : `${short(e.importance, 2)}${weak ? ", no more than chance" : ""}`)), h("td", {}, signed(e)), h("td.num.small", { title: "settings that have it" }, e.n));
    });
    const out = Object.entries(left).map(([why, k]) => `${k} ${why}`).join(", ");
    fill(this.effectPanel.body, effects.length ? h("table.effects", {}, h("thead", {}, h("tr", {}, h("th", {}, "parameter"), h("th", { title: "the share of the settings' ranks that this parameter explains, the best weighing most, less what chance explains" }, "importance"), h("th", { title: `Spearman's rank correlation with the metric${caution ? "" : ", and its 95 % interval"}` }, "rank correlation"), h("th.num", {}, "n"))), h("tbody", {}, rows)) : h("div.empty", {}, n < 2 ? "Two finished runs that differ are needed." : "No parameter varies."));
    const told = effects.some((e) => e.importance !== null);
    const clear = effects.some((e) => e.importance !== null && e.floor !== null && e.importance > e.floor);
    const trust = settings < 10 ? "Fewer than 10 settings: nothing can be said of importance. " : !told && effects.length ? "The metric is the same everywhere: nothing can be said of importance. " : told && !clear ? "No parameter clears its chance mark. " : told && settings < 50 ? `With ${settings} settings trust only what clears its tick by far. ` : "";
    this.effectPanel.say(`${many(settings, "setting")} of ${many(n, "run")}${out ? `; left out: ${out}` : ""}. `, drawn < n ? `Computed from ${drawn.toLocaleString("en")} runs, drawn by lot: more would take too long. ` : "", effects.length > 14 ? `The first 14 of ${effects.length}. ` : "", trust, !effects.length ? "" : caution ? caution : "One irrelevant parameter in twenty clears its tick; lines are 95 % intervals. ");
  }

  buildGroups() {
    const names = this.model.varying.map((p) => p.name);
    const guess = this.over.length ? this.over : names.filter((n) => /(^|[._])seed$/i.test(n));
    const made = panel("Over seeds", "", [h("label", {}, "average out", select("averaged out", [["", "nothing"], ...names], guess[0] || "", (p) => { this.over = p ? [p] : []; view.set({ over: p }); this.loadGroups(); }))]);
    this.groupBody = made.body;
    this.groupSay = made.say;
    if (!this.over.length && guess.length) this.over = guess.slice(0, 1);
    if (!this.over.length) fill(this.groupBody, h("div.empty", {}, "Choose what to average out, such as the seed: medians and quantile bands of each setting, failures counted."));
    return made;
  }

  async loadGroups() {
    if (!this.over.length) { fill(this.groupBody, h("div.empty", {}, "Nothing is averaged out.")); return; }
    const words = this.over.map((o) => `over=${encodeURIComponent(o)}`).join("&");
    const found = await this.ask(`/api/sweeps/${encodeURIComponent(this.model.sweep.id)}/groups?${words}&metric=${encodeURIComponent(this.metric)}&goal=${this.sign < 0 ? "maximize" : "minimize"}`, () => this.groupBody);
    if (!found) return;
    const { n, groups, shared_order: shared, same, word } = found;
    this.bands ||= chart("short", "Settings from the best, with quantile bands");
    this.bands.set(() => bandsOption(groups, this));
    const box = h("div");
    settingsTable(box, groups, this, n);
    fill(this.groupBody, this.bands.element, box);
    this.bands.draw();
    this.groupSay(`${many(n, "setting")}, ordered by ${word}. Thin lines: 10 % to 90 %, thick: 25 % to 75 %, of fewer than ${FEW} runs from the least to the greatest; over runs that ended well. Those that failed or did not finish are counted beside them.${same ? " All runs of a setting gave identical numbers: what is averaged out changes nothing." : shared ? " Seeds share the order of batches, so the bands are too narrow." : ""}`);
  }

  async export(format) {
    if (!this.table) { this.seen = true; await this.fillTable(); }
    await this.table.ready;
    const query = this.model.sampled && !this.selected.length ? Object.fromEntries(this.table.query) : null;
    const rows = query ? [] : this.selected.length ? this.selected : this.table.table.getRows("active").map((row) => row.getData().id);
    const columns = (this.columns.length ? this.columns : columnsOf(this).shown).filter((c) => !["created", "number", "setting"].includes(c));
    const text = await download(`/api/sweeps/${encodeURIComponent(this.model.sweep.id)}/export`, { format, columns, ids: rows, ...(query ? { query } : {}) });
    save(text, `${this.model.sweep.name}.${format === "csv" ? "csv" : "tex"}`, format === "csv" ? "text/csv" : "text/x-tex");
  }

  // Close all charts.
  leave() {
    this.drawn = false;
    this.table?.close();
    this.table = null;
    this.settled = false;
    this.sight?.disconnect();
    this.sight = null;
    for (const one of [this.pareto, this.time, this.parallel, this.sliced, this.contour]) one?.close();
  }

  async reread() {
    this.read();
    await this.settle();
    this.ranking = [];
    this.drawHead();
    this.leave();
    this.drawn = true;
    this.buildPanels();
    this.refilter(false);
    this.loadEffects();
    if (this.over.length) this.loadGroups();
  }

  // Of very many runs the sample is read again, now and then.
  async resample() {
    const now = performance.now();
    if (this.sampledAt && now - this.sampledAt < RESAMPLE_MS) { clearTimeout(this.later); this.later = setTimeout(() => this.resample(), RESAMPLE_MS); return; }
    this.sampledAt = now;
    const before = said(this.model);
    const changed = this.model.take(await get(this.samplePath()), true);
    if (!this.model.sampled) { await this.reread(); return; }
    await this.settle();
    if (changed || said(this.model) !== before) this.drawHead();
    if (!changed && said(this.model) === before) return;
    this.draw();
    if (this.table) await this.table.load(false);
    this.loadEffects();
    if (this.over.length) this.loadGroups();
  }

  // Read what changed in the store; read all if the store was replaced, or runs are missing.
  async changed(pulse) {
    const path = `/api/sweeps/${encodeURIComponent(this.model.sweep.id)}`;
    const had = { metrics: this.model.metrics.length, varying: this.model.varying.length };
    const before = said(this.model);
    const other = pulse && this.store && String(this.store) !== String(pulse.store);
    if (pulse) this.store = pulse.store;
    if (this.refused && this.drawn) { this.refused = false; this.loadEffects(); if (this.over.length) this.loadGroups(); }
    if (this.model.sampled) { await this.resample(); return; }
    let answer = other ? null : await get(`${path}?since=${encodeURIComponent(this.model.since)}&after=${this.model.highest}`);
    let changed = other ? 0 : this.model.take(answer);
    if (answer?.sampled) { this.model.take(answer, true); await this.reread(); return; }
    if (other || (answer.settled && !this.model.agrees)) { answer = await get(path); changed += this.model.take(answer, true); }
    if (changed) await this.settle();
    if (changed || said(this.model) !== before) this.drawHead();
    if (!changed) return;
    if (!this.model.runs.length) { this.leave(); this.build(); return; }
    if (!this.drawn || had.metrics !== this.model.metrics.length || had.varying !== this.model.varying.length) { if (this.drawn) await this.reread(); else this.build(); return; }
    this.refilter(false);
    // Each 5 s at most, and once more after the last change.
    if (this.effectsTimer) return;
    const load = () => { this.effectsTimer = 0; this.effectsAt = performance.now(); this.loadEffects(); if (this.over.length) this.loadGroups(); if (this.tablesBox?.hidden) this.loadTables(); };
    const rest = this.effectsAt ? this.effectsAt + 5000 - performance.now() : 0;
    if (rest > 0) this.effectsTimer = setTimeout(load, rest); else load();
  }
}

// The head of the page.
const said = ({ sweep, counts: n, agents }) => JSON.stringify([sweep, n, agents]);
const median = (values) => { const s = Float64Array.from(values).sort(); return s[s.length >> 1]; };

function progress(done, failed, now, total) {
  const part = (n) => ({ width: `${Math.min(100, (100 * n) / total)}%` });
  return h("div.progress", { role: "img", "aria-label": `${done + failed} of ${total} over` }, h("span.done", { style: part(done) }), h("span.fail", { style: part(failed) }), h("span.now", { style: part(now) }));
}

function signed(e) {
  if (e.correlation === null) return h("span.dim.small", { title: "categories, a metric that does not vary, or fewer than 4 settings" }, "none");
  const at = (r) => 50 + 50 * r;
  const [a, b] = [Math.min(at(e.correlation), 50), Math.max(at(e.correlation), 50)];
  return h("div.meter.signed", { title: `${short(e.correlation, 3)}${e.low === null ? "" : `, 95 % interval ${short(e.low, 2)} to ${short(e.high, 2)}`}` },
    h("i", { class: e.correlation < 0 ? "neg" : "", style: { left: `${a}%`, width: `${b - a}%` } }), e.low !== null && h("u", { style: { left: `${at(e.low)}%`, width: `${at(e.high) - at(e.low)}%` } }), h("span.hidden-text", {}, short(e.correlation, 2)));
}

const timeLegend = (standing) => h("div.legend.dim", {}, [["i.dot", "--c1", "ended well"], ["i.ring", "", "not over, cut short, or failed"], ["i.up", "", "failed without a number, or beyond the axis"], ["i", "--c2", standing?.replicated ? `best setting's ${standing.word}, once its runs are over` : "running best"]].map(([tag, c, word]) => h("span", {}, h(tag, c ? { style: { background: `var(${c})` } } : {}), word)));
const rampLegend = () => h("span.ramp", {}, "worst", h("i", {}, [...ramp()].reverse().map((c) => h("b", { style: { background: c } }))), "best");

function bandsOption(groups, state) {
  const sorted = groups.filter((g) => g.metrics[state.metric]).slice(0, 60);
  // For few runs draw the least and the greatest in place of quantiles.
  const data = sorted.map((g, i) => { const m = g.metrics[state.metric]; return m.n < FEW ? [i, m.q0, center(m), center(m), center(m), m.q100, m.n] : [i, m.q10, m.q25, center(m), m.q75, m.q90, m.n]; });
  const log = data.every((d) => d[1] > 0) && Math.max(...data.map((d) => d[5])) / Math.min(...data.map((d) => d[1])) > 100;
  // A setting is named if that is short enough; else the label is its place in the table below.
  const names = Object.keys(sorted[0]?.config || {}).filter((n) => state.model.byName.get(n)?.varies && !state.over.includes(n));
  const thin = sorted.length <= 12 ? 6 : 3;
  const named = names.length > 0 && names.length <= 2 && sorted.length <= 12;
  const said = (i) => (named ? names.map((n) => short(sorted[i].config[n], 3)).join(", ") : String(i + 1));
  const bar = (from, to, width, opacity) => ({ type: "custom", data, encode: { x: 0, y: [from, to] }, silent: from === 1, z: 3,
    renderItem: (_p, api) => { const [a, b] = [api.coord([api.value(0), api.value(from)]), api.coord([api.value(0), api.value(to)])]; return { type: "rect", shape: { x: a[0] - width / 2, y: Math.min(a[1], b[1]), width, height: Math.max(1, Math.abs(b[1] - a[1])) }, style: { fill: css("--c1"), opacity } }; } });
  return base({
    xAxis: axis(`${named ? names.join(", ") : "settings"}, the best first`, { type: "category", data: data.map((d) => said(d[0])) }), yAxis: axis("", { type: log ? "log" : "value" }),
    tooltip: tooltip({ trigger: "axis", formatter: (ps) => { const i = ps[0]?.dataIndex ?? 0; const g = sorted[i]; if (!g) return ""; const m = g.metrics[state.metric]; return tip(`${m.mean === undefined ? "median" : "mean"} ${short(center(m))}`, [m.n < FEW ? ["least to greatest", `${short(m.q0)} to ${short(m.q100)}`] : ["10 % to 90 %", `${short(m.q10)} to ${short(m.q90)}`], ["runs", `${m.n} of ${g.runs}${g.failed ? `, ${g.failed} failed` : ""}${g.unfinished ? `, ${g.unfinished} unfinished` : ""}`], ...Object.entries(g.config).filter(([n]) => state.model.byName.get(n)?.varies).slice(0, 10).map(([n, v]) => [n, short(v)])]); } }),
    series: [bar(1, 5, thin, 0.4), bar(2, 4, 3 * thin, 0.5), { type: "scatter", data: data.map((d) => [d[0], d[3]]), symbol: "diamond", symbolSize: 9, itemStyle: { color: css("--c2") }, z: 5 }],
  });
}

function readBrushes(text) {
  const found = {};
  for (const part of text.split(";").filter(Boolean)) {
    const cut = part.lastIndexOf(":");
    const [a, b] = part.slice(cut + 1).split("..").map(Number);
    if (cut > 0 && Number.isFinite(a) && Number.isFinite(b)) (found[part.slice(0, cut)] ||= []).push([a, b]);
  }
  return found;
}

const writeBrushes = (brushes) => Object.entries(brushes).flatMap(([c, spans]) => spans.map(([a, b]) => `${c}:${Number(a.toPrecision(6))}..${Number(b.toPrecision(6))}`)).join(";");
