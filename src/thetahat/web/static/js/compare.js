// Runs beside each other: curves, and where their configs differ.
import { get, site, view } from "./api.js";
import { fill, flag, h, panel, patch, runLink, status, sweepLink, toggle } from "./dom.js";
import { axisOf, BOOKS, curveChart, legend, pointsOver, spansDecades } from "./curves.js";
import { columnStyle, finite, flat, many, short } from "./format.js";
import { CUT, FAILED, OPEN, WELL } from "./model.js";

// A constant learning rate is shown among the configs, not as a curve.
const still = (run, name) => { const values = run.records.columns[name]; return !values || values.every((v) => v === values[0]); };

export async function show(main, _id, { crumbs }) {
  const page = new ComparePage(main);
  await page.load();
  crumbs(page.sweeps.length === 1 ? sweepLink(page.sweeps[0].id, page.sweeps[0].name) : null, h("span", {}, "compare"));
  document.title = `compare · ${site}`;
  return page;
}

class ComparePage {
  constructor(main) {
    Object.assign(this, { main, bands: view.get("bands") === "1", smooth: Number(view.get("smooth")) || 0, log: view.get("log"), same: view.get("same") === "1", charts: new Map() });
    this.body = h("div");
  }

  async load() {
    const ids = view.get("runs");
    const answer = ids ? await get(`/api/compare?runs=${encodeURIComponent(ids)}${this.bands ? "&bands=1" : ""}`) : { runs: [], settings: [], left_out: 0 };
    this.runs = answer.runs.map((run, i) => ({ ...run, config: flat(run.config), colour: i }));
    this.groups = answer.settings;
    this.leftOut = answer.left_out;
    this.sweeps = [...new Map(this.runs.filter((r) => r.sweep).map((r) => [r.sweep.id, r.sweep])).values()];
    if (!this.runs.length) { fill(this.main, h("div.empty", {}, h("h1", {}, "Compare runs"), h("p", {}, "Select runs in the table of a sweep, then press Compare; or write their names into the address: ", h("code", {}, `${location.pathname}?runs=a,b`)))); return; }
    if (!this.body.isConnected) fill(this.main, h("div.head", {}, h("h1", {}, `Compare ${many(this.runs.length, "run")}`), h("span.spacer"), this.tools()), this.body);
    this.draw();
  }

  tools() {
    const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: this.smooth, "aria-label": "Smoothing" });
    slider.addEventListener("input", () => { this.smooth = Number(slider.value); view.set({ smooth: this.smooth || null }); this.drawCurves(); });
    this.logButton = toggle("log scale", this.log === "1", (on) => { this.log = on ? "1" : "0"; view.set({ log: this.log }); this.drawCurves(); });
    return h("div.tools", {}, this.logButton,
      toggle("bands over seeds", this.bands, (on) => { this.bands = on; view.set({ bands: on }); this.drawnKey = null; this.load(); }, "Median and 10 % to 90 % of the runs that differ by their seed only, where at least 3 and half of them are left"), h("label", {}, "smoothing", slider));
  }

  draw() {
    this.curveBox ||= h("div.grid");
    this.tableBox ||= h("div", { style: { marginTop: "12px" } });
    if (!this.curveBox.isConnected) fill(this.body, this.leftOut > 0 && h("p.warning", {}, `The first ${this.runs.length} runs; ${this.leftOut} more were asked for.`), this.curveBox, this.tableBox);
    this.drawCurves();
    this.drawTable();
  }

  drawCurves() {
    const names = [...new Set(this.runs.flatMap((run) => Object.keys(run.records.columns)))].filter((n) => !["epoch", "step"].includes(n) && this.runs.some((run) => run.records.columns[n]?.some(finite)) && !(BOOKS.has(n) && this.runs.every((run) => still(run, n))));
    const order = (n) => { const i = ["val_risk", "train_risk", "test_risk"].indexOf(n); return i >= 0 ? i : BOOKS.has(n) ? 4 : 3; };
    const shown = names.sort((a, b) => order(a) - order(b)).slice(0, 12);
    const key = JSON.stringify([shown, this.bands, this.runs.map((r) => r.id)]);
    const groups = this.settings();
    if (key !== this.drawnKey) {
      this.drawnKey = key;
      for (const one of this.charts.values()) one.close();
      this.charts.clear();
      const told = this.bands ? groups.map((g, i) => ({ name: `${g.words} (${many(g.runs.length, "run")}${g.failed ? `, ${g.failed} failed` : ""}${g.unfinished ? `, ${g.unfinished} not finished` : ""})`, colour: i }))
        : this.runs.map((run) => ({ colour: run.colour, link: h("span", {}, runLink(run), (FAILED.has(run.status) || CUT.has(run.status)) && flag(run.status, run.reason, FAILED.has(run.status) ? "bad" : "")) }));
      const charts = shown.map((name) => { const made = panel(name, shown.length === 1 ? "" : "s6"); const one = curveChart(`${name} of each run`); one.say = made.say; made.body.append(one.element); this.charts.set(name, one); return made.root; });
      // The legend first: it belongs to all charts below.
      fill(this.curveBox, h("div.panel", {}, h("div.body.legends", { tabindex: "0", role: "group", "aria-label": "legend" }, legend(told))),
        charts.length ? charts : h("section.panel", {}, h("div.body", {}, h("div.empty", {}, "None of these runs logged records."))));
    }
    let logs = 0;
    for (const [name, one] of this.charts) {
      const counting = this.runs[0].records.axis || "epoch";
      const [axis, ...other] = new Set(this.bands ? [counting] : this.runs.filter((run) => run.records.columns[name]).map((run) => axisOf(run, name, run.records.columns, counting)));
      const by = other.length ? counting : axis;
      const single = (runs) => runs.filter((run) => run.records.columns[name]).map((run) => line(run, name, by === counting ? run.records.axis : by));
      const { lines, bands, said } = this.bands ? banded(groups, name, single) : { lines: single(this.runs), bands: [], said: [] };
      const log = this.log ? this.log === "1" : spansDecades(lines.filter((one) => !one.lost));
      const beyond = lines.filter((one) => one.lost).length;
      if (beyond && beyond < lines.length) said.push(`The axis fits the runs that ended well or still train; arrows show where ${beyond === 1 ? "another" : `${beyond} others`} leave${beyond === 1 ? "s" : ""} it.`);
      one.say(...(said.length ? [said.join(" ")] : []));
      logs += log;
      one.show(lines, { log, smooth: this.bands ? 0 : this.smooth, axisName: by, bands });
    }
    // Without a choice of the user, the button shows the default.
    if (!this.log) this.logButton.setAttribute("aria-pressed", String(logs > 0));
  }

  // Runs that differ by their seed only, as grouped by the server.
  settings() {
    const byId = new Map(this.runs.map((run) => [run.id, run]));
    const differ = this.differing().filter((n) => new Set(this.groups.map((g) => JSON.stringify(g.config[n]))).size > 1);
    return this.groups.map((g) => ({ ...g, words: [...(g.experiment ? [g.experiment] : []), ...differ.map((n) => `${n}=${short(g.config[n], 3)}`)].join(", ") || "all runs", runs: g.ids.map((id) => byId.get(id)).filter(Boolean) }));
  }

  // The best run is chosen by the metric of the sweep, else by the metric of the best states, else by the validation
  // risk; never by a test risk. Experiments declare the direction of a metric; by default less is better.
  judge() {
    const [sweep] = this.sweeps;
    const own = this.sweeps.length === 1 && sweep.metric && !/test/i.test(sweep.metric) ? sweep.metric : null;
    const names = [...new Set(this.runs.flatMap((run) => Object.keys(run.metrics)))];
    const chose = new Set(this.runs.map((run) => run.detail?.best_by || "val_risk"));
    const metric = own && names.includes(own) ? own : names.find((n) => chose.size === 1 && chose.has(n)) || names.find((n) => n === "val_risk") || names.find((n) => /^val/i.test(n) && /risk|loss|error/i.test(n));
    const more = metric === own ? sweep.goal === "maximize" : this.runs.some((run) => run.detail?.directions?.[metric] === "max");
    const sign = more ? -1 : 1;
    const have = this.runs.filter((run) => WELL.has(run.status) && finite(run.metrics[metric]));
    // Seeds of one setting are not compared.
    if (have.length < 2 || this.groups.some((g) => g.ids.length > 1)) return {};
    return { metric, run: have.reduce((a, b) => (sign * b.metrics[metric] < sign * a.metrics[metric] ? b : a)) };
  }

  differing() {
    const names = [...new Set(this.runs.flatMap((run) => Object.keys(run.config)))];
    return names.filter((n) => new Set(this.runs.map((run) => JSON.stringify(run.config[n]))).size > 1);
  }

  drawTable() {
    const differ = new Set(this.differing());
    const names = [...new Set(this.runs.flatMap((run) => Object.keys(run.config)))].filter((n) => this.same || differ.has(n)).slice(0, 300);
    const metrics = [...new Set(this.runs.flatMap((run) => Object.keys(run.metrics)))].slice(0, 40);
    const made = panel("Where they differ", "", [toggle("also what is the same", this.same, (on) => { this.same = on; view.set({ same: on }); this.drawTable(); })]);
    const row = (name, cells, kind = "") => h("tr", { class: kind }, h("th", { scope: "row" }, name), cells);
    const best = this.judge();
    const number = (m) => { const style = columnStyle(this.runs.map((r) => r.metrics[m])); return this.runs.map((r) => h("td.num", {}, finite(r.metrics[m]) ? (m === best.metric && r === best.run ? h("b", { title: "the best of the runs that ended well" }, style(r.metrics[m])) : style(r.metrics[m])) : m in r.metrics ? "not finite" : "", r.contaminated && /test/.test(m) && flag("contaminated", "tuned on the test set", "bad"), m === metrics[0] && (OPEN.has(r.status) ? flag("so far", "not over") : !WELL.has(r.status) && flag(r.status, r.reason || "its numbers do not count", FAILED.has(r.status) ? "bad" : "")))); };
    made.body.append(h("div.bounded.scroll", { tabindex: "0", role: "group", "aria-label": "differences", style: { maxHeight: "560px" } }, h("table.plain", {}, h("thead", {}, h("tr", {}, h("th", {}, h("span.hidden-text", {}, "of")), this.runs.map((run) => h("th.num", {}, runLink(run))))),
      h("tbody", {}, row("state", this.runs.map((run) => h("td.num", {}, status(run.status, run.reason)))), metrics.map((m) => row(m, number(m))), row(new Set(this.runs.map((run) => run.counted)).size > 1 ? "epochs or steps" : this.runs[0].counted, this.runs.map((run) => h("td.num", {}, run.epochs))),
        names.map((n) => row(n, this.runs.map((run) => h("td.num", { class: differ.has(n) && run.config[n] !== this.runs[0].config[n] ? "changed" : "", title: String(run.config[n] ?? "").slice(0, 500) }, short(run.config[n]).slice(0, 60)))))))));
    const bold = best.run ? ` Bold: the best by ${best.metric}.` : "";
    if (!differ.size) made.say(`Their configs are the same.${bold}`);
    else made.say(`${many(differ.size, "parameter")} differ; tinted: unlike the first run.${bold}`);
    patch(this.tableBox, made.root);
  }

  async changed() { if (this.runs.some((run) => OPEN.has(run.status))) await this.load(); }
}

function line(run, name, axis) {
  return { name: run.name, ...pointsOver(run.records.columns, axis, name), colour: run.colour, wide: 1.5, lost: FAILED.has(run.status) };
}

// A band for each setting, as the server computed it; single runs if they are too few.
function banded(groups, name, single) {
  const [lines, bands, said, few] = [[], [], [], []];
  groups.forEach((group, i) => {
    const band = group.bands[name];
    if (!band) return;
    if (band.x.length < 2) {
      few.push(group.words);
      for (const one of single(group.runs)) lines.push({ ...one, colour: i });
      return;
    }
    lines.push({ name: group.words, x: band.x, y: band.middle, colour: i, wide: 2.2, band });
    bands.push({ x: band.x, low: band.low, high: band.high, colour: i });
  });
  if (bands.length) said.unshift("Median, and 10 % to 90 % of the runs, where at least 3 and half of those that began have a number; n tells how many, and where that changes.");
  if (few.length) said.push(`No band for ${few.length === 1 ? few[0] : many(few.length, "setting")}: too few runs (at least 3, and half of those that began); they are drawn one by one.`);
  return { lines, bands, said };
}
