// Runs beside each other: curves, and where their configs differ.
import { get, view } from "./api.js";
import { fill, flag, h, panel, runLink, status, sweepLink, toggle } from "./dom.js";
import { BOOKS, curveChart, legend, spansDecades } from "./curves.js";
import { columnStyle, finite, flat, many, short } from "./format.js";
import { FAILED, OPEN, SEED } from "./model.js";

// A rate that never changes is no curve; it stands among the configs.
const still = (run, name) => { const values = run.records.columns[name]; return !values || values.every((v) => v === values[0]); };

export async function show(main, _id, { crumbs }) {
  const page = new ComparePage(main);
  await page.load();
  crumbs(page.sweeps.length === 1 ? sweepLink(page.sweeps[0].id, page.sweeps[0].name) : null, h("span", {}, "compare"));
  document.title = "compare · thetahat";
  return page;
}

class ComparePage {
  constructor(main) {
    Object.assign(this, { main, bands: view.get("bands") === "1", smooth: Number(view.get("smooth")) || 0, log: view.get("log"), same: view.get("same") === "1", charts: new Map() });
    this.body = h("div");
  }

  async load() {
    const ids = view.get("runs");
    const answer = ids ? await get(`/api/compare?runs=${encodeURIComponent(ids)}`) : { runs: [], left_out: 0 };
    this.runs = answer.runs.map((run, i) => ({ ...run, config: flat(run.config), colour: i }));
    this.leftOut = answer.left_out;
    this.sweeps = [...new Map(this.runs.filter((r) => r.sweep).map((r) => [r.sweep.id, r.sweep])).values()];
    if (!this.runs.length) { fill(this.main, h("div.empty", {}, h("h1", {}, "Compare runs"), h("p", {}, "Select runs in the table of a sweep, then press Compare; or write their names into the address: ", h("code", {}, "/compare?runs=a,b")))); return; }
    if (!this.body.isConnected) fill(this.main, h("div.head", {}, h("h1", {}, `Compare ${many(this.runs.length, "run")}`), h("span.spacer"), this.tools()), this.body);
    this.draw();
  }

  tools() {
    const slider = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: this.smooth, "aria-label": "Smoothing" });
    slider.addEventListener("input", () => { this.smooth = Number(slider.value); view.set({ smooth: this.smooth || null }); this.drawCurves(); });
    this.logButton = toggle("log scale", this.log === "1", (on) => { this.log = on ? "1" : "0"; view.set({ log: this.log }); this.drawCurves(); });
    return h("div.tools", {}, this.logButton,
      toggle("bands over seeds", this.bands, (on) => { this.bands = on; view.set({ bands: on }); this.drawnKey = null; this.draw(); }, "Median and 10 % to 90 % of the runs that differ by their seed only"), h("label", {}, "smoothing", slider));
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
      const told = this.bands ? groups.map((g, i) => ({ name: `${g.words} (${many(g.runs.length, "run")})`, colour: i }))
        : this.runs.map((run) => ({ colour: run.colour, link: h("span", {}, runLink(run), FAILED.has(run.status) && flag(run.status, run.reason, "bad")) }));
      const charts = shown.map((name) => { const made = panel(name, shown.length === 1 ? "" : "s6"); const one = curveChart(`${name} of each run`); made.body.append(one.element); this.charts.set(name, one); return made.root; });
      // The legend first: it belongs to all charts below.
      fill(this.curveBox, h("div.panel", {}, h("div.body.legends", { tabindex: "0", role: "group", "aria-label": "legend" }, legend(told))),
        charts.length ? charts : h("section.panel", {}, h("div.body", {}, h("div.empty", {}, "None of these runs logged records."))));
    }
    let logs = 0;
    for (const [name, one] of this.charts) {
      const [lines, bands] = this.bands ? banded(groups, name) : [this.runs.filter((run) => run.records.columns[name]).map((run) => line(run, name)), []];
      const log = this.log ? this.log === "1" : spansDecades(lines);
      logs += log;
      one.show(lines, { log, smooth: this.bands ? 0 : this.smooth, axisName: this.runs[0].records.axis || "epoch", bands });
    }
    // Where nobody has chosen, the button says what was chosen for them.
    if (!this.log) this.logButton.setAttribute("aria-pressed", String(logs > 0));
  }

  // Runs that differ by their seed only.
  settings() {
    const found = new Map();
    const differ = this.differing().filter((n) => !SEED.test(n));
    for (const run of this.runs) {
      const words = differ.map((n) => `${n}=${short(run.config[n], 3)}`).join(", ") || "all runs";
      if (!found.has(words)) found.set(words, { words, runs: [] });
      found.get(words).runs.push(run);
    }
    return [...found.values()];
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
    // Experiments say in which direction a number is better; where nobody says it, risks and losses are better low.
    const mode = (m) => this.runs.map((r) => r.detail?.directions?.[m]).find(Boolean) || (/risk|loss/.test(m) ? "min" : null);
    const best = (m) => { const v = this.runs.map((r) => r.metrics[m]).filter(finite); return v.length < 2 || !mode(m) ? null : mode(m) === "max" ? Math.max(...v) : Math.min(...v); };
    const number = (m) => { const style = columnStyle(this.runs.map((r) => r.metrics[m])); return this.runs.map((r) => h("td.num", {}, finite(r.metrics[m]) ? (r.metrics[m] === best(m) ? h("b", {}, style(r.metrics[m])) : style(r.metrics[m])) : m in r.metrics ? "not finite" : "", r.contaminated && /test/.test(m) && flag("contaminated", "tuned on the test set", "bad"), m === metrics[0] && OPEN.has(r.status) && flag("so far", "not over"))); };
    made.body.append(h("div.bounded.scroll", { tabindex: "0", role: "group", "aria-label": "differences", style: { maxHeight: "560px" } }, h("table.plain", {}, h("thead", {}, h("tr", {}, h("th", {}, h("span.hidden-text", {}, "of")), this.runs.map((run) => h("th.num", {}, runLink(run))))),
      h("tbody", {}, row("state", this.runs.map((run) => h("td.num", {}, status(run.status, run.reason)))), metrics.map((m) => row(m, number(m))), row("epochs", this.runs.map((run) => h("td.num", {}, run.epochs))),
        names.map((n) => row(n, this.runs.map((run) => h("td.num", { class: differ.has(n) && run.config[n] !== this.runs[0].config[n] ? "changed" : "", title: String(run.config[n] ?? "").slice(0, 500) }, short(run.config[n]).slice(0, 60)))))))));
    if (!differ.size) made.say("Their configs are the same.");
    else made.say(`${many(differ.size, "parameter")} differ; tinted: unlike the first run.`);
    fill(this.tableBox, made.root);
  }

  async changed() { if (this.runs.some((run) => OPEN.has(run.status))) await this.load(); }
}

function line(run, name) {
  const x = run.records.columns[run.records.axis];
  const at = x.map((_, i) => i).filter((i) => run.records.columns[name][i] !== null);
  return { name: run.name, x: at.map((i) => x[i]), y: at.map((i) => run.records.columns[name][i]), colour: run.colour, wide: 1.5 };
}

function banded(groups, name) {
  const quantile = (s, q) => { const at = q * (s.length - 1); const low = Math.floor(at); return s[low] + (at - low) * (s[Math.min(low + 1, s.length - 1)] - s[low]); };
  const [lines, bands] = [[], []];
  groups.forEach((group, i) => {
    const by = new Map();
    for (const run of group.runs) { if (!run.records.columns[name]) continue; const one = line(run, name); one.x.forEach((x, k) => { if (!by.has(x)) by.set(x, []); by.get(x).push(one.y[k]); }); }
    const xs = [...by.keys()].sort((a, b) => a - b);
    const sorted = xs.map((x) => by.get(x).sort((a, b) => a - b));
    lines.push({ name: group.words, x: xs, y: sorted.map((s) => quantile(s, 0.5)), colour: i, wide: 2.2 });
    bands.push({ x: xs, low: sorted.map((s) => quantile(s, 0.1)), high: sorted.map((s) => quantile(s, 0.9)), colour: i });
  });
  return [lines, bands];
}
