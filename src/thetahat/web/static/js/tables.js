// Tables and files that runs left behind: bands over seeds, settings beside each other, a run's own.
import { get, view } from "./api.js";
import { axis, base, chart, css, lineColour, tip, tooltip } from "./charts.js";
import { fill, go, h, panel, select, toggle } from "./dom.js";
import { brief, finite, many, short } from "./format.js";

const BANDS = [["90", "5 to 95 %"], ["80", "10 to 90 %"], ["50", "25 to 75 %"], ["100", "least to greatest"]];
const NONE = "-";
const query = (words) => new URLSearchParams(Object.entries(words).filter(([, v]) => v !== "" && v !== null && v !== undefined));

// The panel of a sweep's tables; null if its runs have none.
export async function tablesPanel(id) {
  const about = await get(`/api/sweeps/${encodeURIComponent(id)}/tables`);
  return about.tables.length ? new SweepTables(id, about).root : null;
}

// A tab for each table.
function tabs(names, now, choose) {
  const buttons = names.map((name) => h("button", { type: "button", role: "tab", "aria-selected": String(name === now), title: name, onclick: () => { for (const b of buttons) b.setAttribute("aria-selected", String(b.title === name)); choose(name); } }, name.length > 40 ? `${name.slice(0, 39)}…` : name));
  return h("div.tools.tabs", { role: "tablist", "aria-label": "tables" }, buttons);
}

class SweepTables {
  constructor(id, about) {
    Object.assign(this, { id, about, charts: [] });
    const names = about.tables.map((t) => t.name);
    this.name = names.includes(view.get("table")) ? view.get("table") : names[0];
    for (const key of ["tx", "ty"]) this[key] = view.get(key);
    this.exact = view.get("exact") || this.reference();
    this.band = view.get("tband", "90");
    this.single = view.get("tlines") !== "0";
    // Without replicates all runs are one group.
    const alone = about.n_settings > 1 && about.settings.every((s) => s.runs < 2);
    this.a = view.get("ta", alone ? "-1" : "0");
    this.b = view.get("tb", alone || about.n_settings < 2 ? "" : "1");
    this.made = panel("Tables", "");
    this.root = this.made.root;
    this.controls = h("div.tools");
    this.box = h("div.grid.waits");
    this.made.body.append(tabs(names, this.name, (name) => { this.name = name; Object.assign(this, { tx: "", ty: "", exact: this.reference() }); this.keep(); this.load(); }), this.controls, this.box);
    this.load();
  }

  // A column called exact is the reference until another, or none, is chosen.
  reference() { return this.about.tables.find((t) => t.name === this.name).columns.includes("exact") ? "exact" : ""; }

  keep() { view.set({ table: this.name, tx: this.tx, ty: this.ty, exact: this.exact === this.reference() ? null : this.exact, ta: this.a, tb: this.b, tband: this.band === "90" ? null : this.band, tlines: this.single ? null : "0" }); }

  async load() {
    const asked = query({ name: this.name, x: this.tx, y: this.ty, exact: this.exact === NONE ? "" : this.exact, band: this.band, settings: [this.a, this.b].filter((s, i) => i === 0 || s !== "").join(",") });
    const now = String(asked);
    this.asked = now;
    let found;
    try { found = await get(`/api/sweeps/${encodeURIComponent(this.id)}/table?${asked}`); } catch (error) { this.box.classList.remove("waits"); fill(this.box, h("p.warning.bad", {}, error.message)); return; }
    if (this.asked !== now) return;
    this.found = found;
    this.box.classList.remove("waits");
    this.drawControls();
    this.draw();
  }

  drawControls() {
    const { found, about } = this;
    const pick = (label, options, value, key) => h("label", {}, label, select(label, options, value, (v) => { this[key] = v; this.keep(); this.load(); }));
    const named = about.settings.map((s, i) => [String(i), said(s.config) || "all runs"]);
    const pooled = about.n_settings > 1 ? [["-1", "all runs together"]] : [];
    const others = found.numbers.filter((c) => c !== found.x);
    fill(this.controls, pick("across", found.columns, found.x, "tx"), pick("up", others, found.y, "ty"),
      pick("reference", [[NONE, "none"], ...others.filter((c) => c !== found.y)], found.exact || NONE, "exact"),
      about.n_settings > 1 && pick("setting", [...named, ...pooled], this.a, "a"),
      about.n_settings > 1 && pick("beside", [["", "nothing"], ...named, ...pooled], this.b, "b"),
      pick("band", BANDS, this.band, "band"),
      toggle("single runs", this.single, (on) => { this.single = on; this.keep(); this.draw(); }, "Faint lines: point at one for its name"));
  }

  draw() {
    const { found } = this;
    for (const one of this.charts) one.close();
    this.charts = [];
    if (!found.shown.length) { fill(this.box, h("div.empty", {}, "This table has no second column of numbers.")); return; }
    const range = reach(found.shown, this.single);
    fill(this.box, found.shown.map((one, i) => {
      const made = chart("tall", `${found.y} by ${found.x}: ${said(one.config) || "all runs"}`);
      made.set(() => bandOption(found, one, i, range, this.single));
      const near = h("a", { href: "#", hidden: true });
      made.drawn = () => follow(made, one, near, () => this.single);
      this.charts.push(made);
      return h("div", { class: found.shown.length > 1 ? "s6" : "s12" }, h("h3", {}, said(one.config) || (this.about.n_settings > 1 ? "all runs together" : "all runs")), made.element, h("p.dim.small", {}, counted(one), " ", near));
    }));
    const thin = found.shown.some((one) => one.x.length < one.places) ? ` ${found.shown[0].x.length.toLocaleString("en")} of ${found.shown[0].places.toLocaleString("en")} places are drawn.` : "";
    const part = found.left_out ? ` The tables are too large to read all: ${many(found.left_out, "run")} left out.` : "";
    const lonely = found.shown.every((one) => one.runs > 1 && one.n.every((n) => n <= 1)) ? " No two runs share a place, so that there is no band: evaluate the table on one grid." : "";
    this.made.say(`Median and band over the runs of a setting that ended well.${thin}${part}${lonely}`);
  }
}

const said = (config) => Object.entries(config).map(([k, v]) => `${k}=${short(v, 4)}`).join(", ");

function counted(one) {
  const lost = [[one.failed, "failed"], [one.unfinished, "not finished"], [one.without, "without this table"]].filter(([n]) => n).map(([n, w]) => `${n.toLocaleString("en")} ${w}`);
  return [`${one.runs.toLocaleString("en")} of ${many(one.of, "run")}`, ...lost].join("; ");
}

// One range for charts beside each other.
function reach(shown, single) {
  let [low, high] = [Infinity, -Infinity];
  for (const one of shown) for (const ys of [one.low, one.high, one.exact, ...(single ? one.lines.map((l) => l.y) : [])]) for (const v of ys) if (finite(v)) { if (v < low) low = v; if (v > high) high = v; }
  if (low > high) return null;
  const wide = high - low || Math.abs(high) || 1;
  const unit = 10 ** Math.floor(Math.log10(wide / 5));
  const step = unit * [1, 2, 5, 10].find((k) => k * unit * 5 >= wide);
  const round = (v) => Number(v.toPrecision(6));
  return { min: round(Math.floor(low / step) * step), max: round(Math.ceil(high / step) * step), interval: round(step) };
}

function bandOption(found, one, i, range, single) {
  const words = found.words;
  const colour = lineColour(i);
  const pairs = (ys) => one.x.map((x, k) => [x, ys[k]]);
  const line = (name, data, style, more = {}) => ({ type: "line", name, data, showSymbol: one.x.length < 2, connectNulls: false, lineStyle: style, itemStyle: { color: style.color }, ...more });
  const data = pairs(one.low).map((d, k) => [...d, one.high[k]]).filter((d) => finite(d[1]) && finite(d[2]));
  const band = { type: "custom", name: "band", data: data.length && !words ? [data[0], data[data.length - 1]] : [], silent: true, clip: true, z: 1, tooltip: { show: false },
    renderItem: (params, api) => { if (params.dataIndex > 0) return { type: "group", children: [] }; const points = [...data.map((d) => api.coord([d[0], d[1]])), ...[...data].reverse().map((d) => api.coord([d[0], d[2]]))]; return { type: "polygon", shape: { points }, style: { fill: colour, opacity: 0.18 }, silent: true }; } };
  // Words have no order: each has its point and its band, and no line joins them.
  const dots = (size, opacity) => (words ? { showSymbol: true, symbol: "circle", symbolSize: size, lineStyle: { opacity: 0 }, itemStyle: { color: colour, opacity } } : {});
  const bars = words ? [{ type: "custom", name: "band", silent: true, z: 1, tooltip: { show: false }, data: one.x.map((x, k) => [k, one.low[k], one.high[k]]).filter((d) => finite(d[1]) && finite(d[2])),
    renderItem: (params, api) => { const [low, high] = [1, 2].map((k) => api.coord([api.value(0), api.value(k)])); return { type: "rect", shape: { x: low[0] - 9, y: high[1], width: 18, height: Math.max(1, low[1] - high[1]) }, style: { fill: colour, opacity: 0.18 } }; } }] : [];
  const runs = single ? one.lines.map((run) => ({ ...line(run.name, run.x.map((x, k) => [x, run.y[k]]), { color: colour, width: 1, opacity: 0.22 }, { id: `run:${run.id}`, z: 2, silent: true, emphasis: { disabled: true } }), ...dots(3, 0.35) })) : [];
  const exact = one.exact.length ? [line(found.exact, pairs(one.exact), { color: css("--text"), width: 1.5, type: "dashed" }, { z: 6 })] : [];
  return base({
    xAxis: axis(found.x, words ? { type: "category", data: one.x.map(String) } : { splitLine: { show: false }, min: "dataMin", max: "dataMax" }),
    yAxis: axis(found.y, { nameGap: 44, ...(range || {}) }),
    grid: { left: 8, right: 16, top: 14, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "all" },
    tooltip: tooltip({ trigger: "axis", formatter: (ps) => { const k = ps.find((p) => p.seriesName === "median")?.dataIndex; if (k === undefined) return ""; return tip(`${found.x} ${short(one.x[k])}`, [["median", short(one.middle[k])], ["band", `${short(one.low[k])} to ${short(one.high[k])}`], ...(one.exact.length ? [[found.exact, short(one.exact[k])]] : []), ["runs", one.n[k]]]); } }),
    series: [band, ...bars, ...runs, { ...line("median", pairs(one.middle), { color: colour, width: 2.2 }, { z: 5 }), ...dots(9, 1) }, ...exact, line("run", [], { color: css("--text"), width: 2 }, { id: "near", z: 8, silent: true })],
  });
}

// Mark the single run nearest to the pointer, and name it; a click opens it.
function follow(made, one, near, single) {
  const { raw } = made;
  if (!raw || raw.followed) return;
  raw.followed = true;
  let now = null;
  const mark = (run) => {
    if (run === now) return;
    now = run;
    raw.setOption({ series: [{ id: "near", data: run ? run.x.map((x, k) => [x, run.y[k]]) : [] }] });
    if (run) { near.hidden = false; near.href = `${window.thetahatRoot}/run/${encodeURIComponent(run.id)}`; fill(near, `near the pointer: ${run.name}`); }
  };
  raw.getZr().on("mousemove", ({ offsetX, offsetY }) => {
    if (!single() || !one.lines.length || !raw.containPixel("grid", [offsetX, offsetY])) { mark(null); return; }
    const [x, y] = raw.convertFromPixel("grid", [offsetX, offsetY]);
    let [best, least] = [null, Infinity];
    for (const run of one.lines) {
      const place = typeof run.x[0] === "number" ? nearest(run.x, x) : Math.round(x);
      const away = finite(run.y[place]) ? Math.abs(run.y[place] - y) : Infinity;
      if (away < least) [best, least] = [run, away];
    }
    mark(best);
  });
  raw.getZr().on("globalout", () => mark(null));
  raw.getZr().on("click", () => { if (now) go(`/run/${encodeURIComponent(now.id)}`); });
}

// The place of the value of a sorted list that is nearest to x.
function nearest(xs, x) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) { const at = (low + high) >> 1; if (xs[at] > x) high = at; else low = at; }
  return Math.abs(xs[low] - x) < Math.abs(xs[high] - x) ? low : high;
}

// Panels of what one run has left: its tables and its files.
export async function keptPanels(id) {
  const path = `/api/runs/${encodeURIComponent(id)}`;
  const about = await get(`${path}/kept`);
  return { key: JSON.stringify(about), panels: [about.tables.length && runTables(path, about.tables), about.files.length && runFiles(path, about)].filter(Boolean) };
}

// Each bar is as wide as its bin.
function histogramOption({ left, right, count }, grid) {
  const data = count.map((n, k) => [left[k], right[k], n]).filter((d) => d.every(finite));
  const [low, high] = [Math.min(...data.map((d) => d[0])), Math.max(...data.map((d) => d[1]))];
  return base({ xAxis: axis("value", { min: low, max: high, splitLine: { show: false } }), yAxis: axis("count", { nameGap: 44, min: 0 }), grid,
    tooltip: tooltip({ trigger: "item", formatter: ({ value: [from, to, n] }) => tip(`${short(from)} to ${short(to)}`, [["count", short(n)]]) }),
    series: [{ type: "custom", name: "count", data, encode: { x: [0, 1], y: 2 }, clip: true,
      renderItem: (params, api) => { const [from, to] = [api.coord([api.value(0), api.value(2)]), api.coord([api.value(1), 0])]; return { type: "rect", shape: { x: from[0], y: from[1], width: Math.max(1, to[0] - from[0] - 1), height: to[1] - from[1] }, style: { fill: lineColour(0), opacity: 0.75 } }; } }] });
}

function runTables(path, tables) {
  const made = panel("Tables", "");
  const [controls, box] = [h("div.tools"), h("div")];
  const names = [...new Set(tables.map((t) => t.name))];
  const state = { name: names[0], step: "", x: "", y: "" };
  let drawn = null;
  const load = async () => {
    const found = await get(`${path}/table?${query({ name: state.name, step: state.step })}`);
    const columns = Object.keys(found.columns);
    const x = columns.includes(state.x) ? state.x : columns[0];
    const others = found.numbers.filter((c) => c !== x);
    const y = [state.y, found.drawn].find((c) => others.includes(c)) || others[0];
    const steps = tables.filter((t) => t.name === state.name && t.step !== null).map((t) => String(t.step));
    const pick = (label, options, value, key) => h("label", {}, label, select(label, options, value, (v) => { state[key] = v; load(); }));
    fill(controls, pick("across", columns, x, "x"), others.length > 0 && pick("up", others, y, "y"), steps.length > 1 && pick("step", [["", "latest"], ...steps], state.step, "step"));
    drawn?.close();
    drawn = null;
    if (y && found.rows > 1) {
      drawn = chart("", `${y} by ${x}`);
      const words = !found.numbers.includes(x);
      const pairs = found.columns[x].map((v, k) => [v, found.columns[y][k]]);
      const bars = found.kind === "histogram" && x === "left" && y === "count" && found.columns.right?.length === found.rows;
      const grid = { left: 8, right: 16, top: 14, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "all" };
      drawn.set(() => (bars ? histogramOption(found.columns, grid) : base({ xAxis: axis(x, words ? { type: "category", data: found.columns[x].map(String) } : { min: "dataMin", max: "dataMax" }), yAxis: axis(y, { nameGap: 44 }), grid,
        tooltip: tooltip({ trigger: "axis", formatter: (ps) => tip(`${x} ${short(ps[0].value[0])}`, [[y, short(ps[0].value[1])]]) }), series: [{ type: words ? "bar" : "line", name: y, data: pairs, showSymbol: false, lineStyle: { color: lineColour(0), width: 1.8 }, itemStyle: { color: lineColour(0) } }] })));
    }
    const first = Object.values(found.first)[0]?.length || 0;
    const number = (c) => found.numbers.includes(c);
    fill(box, drawn?.element, h("div.bounded", { tabindex: "0", role: "group", "aria-label": `rows of ${state.name}` }, h("table.plain", {}, h("thead", {}, h("tr", {}, columns.map((c) => h(number(c) ? "th.num" : "th", { title: c }, brief(c, 40))))),
      h("tbody", {}, Array.from({ length: first }, (_, k) => h("tr", {}, columns.map((c) => h(number(c) ? "td.num" : "td", {}, number(c) ? (finite(found.first[c][k]) ? short(found.first[c][k], 6) : "") : found.first[c][k] ?? ""))))))));
    made.say(`${many(found.rows, "row")}${first < found.rows ? `, the first ${first} listed` : ""}${found.columns[x].length < found.rows ? `, ${found.columns[x].length.toLocaleString("en")} drawn` : ""}.`);
  };
  made.body.append(tabs(names, state.name, (name) => { Object.assign(state, { name, step: "", x: "", y: "" }); load(); }), controls, box);
  load().catch((error) => fill(box, h("p.warning.bad", {}, error.message)));
  return made.root;
}

const size = (bytes) => (bytes < 1e3 ? `${bytes} B` : bytes < 1e6 ? `${short(bytes / 1e3, 3)} kB` : `${short(bytes / 1e6, 3)} MB`);

function runFiles(path, about) {
  const made = panel("Files", "");
  const at = (file) => `${path}/files/${file.id}`;
  const label = (file) => `${file.name}${file.step === null ? "" : `, step ${file.step}`}`;
  // Of several steps the latest is shown; all are listed.
  const latest = new Map(about.files.filter((f) => f.media).map((f) => [f.name, f]));
  const shown = [...latest.values()].slice(0, 24).map((file) => h("figure.kept", {}, file.media === "text/html"
    ? h("iframe", { sandbox: "", loading: "lazy", src: at(file), title: label(file) })
    : h("img", { src: at(file), loading: "lazy", alt: label(file), onload: ({ target }) => target.classList.toggle("tiny", target.naturalWidth < 64 && target.naturalHeight < 64) }), h("figcaption.dim.small", { title: label(file) }, brief(label(file), 60))));
  made.body.append(h("div.gallery", {}, shown), h("div.bounded", { tabindex: "0", role: "group", "aria-label": "files" }, h("table.plain", {}, h("thead", {}, h("tr", {}, ["name", "step", "kind", "size"].map((w) => h(w === "size" ? "th.num" : "th", {}, w)))),
    h("tbody", {}, about.files.map((f) => h("tr", {}, h("td", {}, h("a", { href: `${at(f)}?download=1`, download: "" }, f.name)), h("td", {}, f.step ?? ""), h("td", {}, f.kind), h("td.num", {}, size(f.bytes))))))));
  made.say(`${many(about.n_files, "file")}${about.n_files > about.files.length ? `, the last ${about.files.length} listed` : ""}. HTML is shown without its scripts; a click on a name downloads the file.`);
  return made.root;
}
