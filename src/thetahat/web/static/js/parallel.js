// Parallel coordinates: ECharts draws the axes and the brushes. The lines of all runs are drawn here,
// a few at a time, on a canvas below: as ECharts objects they would take seconds.
import { base, chart, css, cut, nothing, rampColour, tooltip } from "./charts.js";
import { h } from "./dom.js";
import { finite, short } from "./format.js";
import { AxisKeys } from "./keys.js";
import { categories, counts, getter } from "./model.js";
import { none, open, runTip, shader, spread } from "./overview.js";

const MOST_AXES = 10;
const [AT_ONCE, FRAME_MS] = [250, 10];
const NEAR = 7;
const narrow = () => document.documentElement.clientWidth < 640;

// Which columns are axes: the parameters that vary, of many those that matter most, then the metric.
export function axesOf(state) {
  const most = narrow() ? 4 : MOST_AXES;
  const chosen = state.axes.filter((name) => state.model.byName.has(name));
  const ranked = state.ranking.filter((name) => state.model.byName.get(name)?.varies);
  const all = chosen.length ? chosen : state.model.varying.length <= most ? state.model.varying.map((p) => p.name)
    : (ranked.length ? ranked : state.model.varying.map((p) => p.name)).slice(0, most);
  return [...all.map((name) => `c.${name}`), ...(state.metric ? [`m.${state.metric}`] : [])];
}

export function parallelChart(state, onbrush) {
  const made = chart("tall", "Parallel coordinates: one line for each run; drag along an axis, or go there with the keyboard, to filter the table");
  const lines = new Lines(made, state);
  made.on("axisareaselected", (event) => {
    const given = Array.isArray(event.batch) ? event.batch : [event];
    for (const one of given) {
      const column = one.parallelAxisId || made.raw.getOption().parallelAxis[one.parallelAxisIndex]?.id;
      if (column) state.brushes[column] = (one.intervals || []).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
    }
    onbrush();
  });
  const brush = () => {
    let acted = false;
    for (const column of axesOf(state)) {
      const intervals = state.brushes[column] || [];
      if (intervals.length || lines.brushedAxes?.has(column)) { made.act({ type: "axisAreaSelect", parallelAxisId: column, intervals, silent: true }); acted = true; }
    }
    // ECharts does not draw the range of an action: it assumes that a mouse has drawn it.
    if (acted) made.raw?.setOption({});
    lines.brushedAxes = new Set(Object.keys(state.brushes).filter((c) => state.brushes[c].length));
  };
  const keys = new AxisKeys(state, { now: brush, rest: onbrush });
  made.drawn = () => { brush(); lines.draw(); keys.place(...lines.axes()); };
  const told = () => { brush(); keys.say(); };
  return { element: h("div.brushed", {}, made.element, keys.group, keys.hint), draw: () => made.set(() => parallelOption(state, lines)), again: () => { lines.draw(); keys.say(); }, brush: told, close: () => { lines.turn += 1; keys.close(); made.close(); } };
}

function parallelOption(state, lines) {
  const have = state.model.runs.filter((run) => finite(run.metrics[state.metric]) && counts(run));
  lines.take(have);
  if (!have.length) return nothing(none(state));
  const small = narrow();
  const axes = axesOf(state).map((column, dim) => {
    const name = column.slice(2);
    const parameter = column.startsWith("c.") ? state.model.byName.get(name) : null;
    const info = parameter || spread(have.map((run) => run.metrics[name]));
    const kind = parameter?.discrete ? { type: "category", data: categories(parameter) } : { type: info.log ? "log" : "value", scale: true, ...bounds(info) };
    return { dim, id: column, name: cut(name, small ? 9 : 22), nameLocation: "end", nameTextStyle: { color: css(parameter ? "--text" : "--accent"), fontSize: 11, fontWeight: parameter ? 400 : 650 },
      axisLine: { lineStyle: { color: css("--dim") } }, axisTick: { show: false }, axisLabel: { color: css("--text"), fontSize: 10, formatter: (v) => cut(short(typeof v === "number" ? Number(v.toPrecision(3)) : v, 3), 14), hideOverlap: true, showMinLabel: true, showMaxLabel: true, backgroundColor: css("--panel"), padding: [1, 2], borderRadius: 2 }, z: 20,
      areaSelectStyle: { width: 18, color: css("--c2"), opacity: 0.25, borderColor: css("--c2") }, ...kind };
  });
  return base({ parallel: { left: small ? 24 : 46, right: small ? 40 : 64, top: 34, bottom: 16 }, parallelAxis: axes, grid: undefined, tooltip: tooltip({ show: false }), series: [{ type: "parallel", data: [] }] });
}

const bounds = ({ low, high }) => (low < high ? { min: low, max: high } : { min: low - Math.abs(low || 1) * 0.5, max: high + Math.abs(high || 1) * 0.5 });

class Lines {
  constructor(made, state) {
    Object.assign(this, { made, state, runs: [], turn: 0, over: null });
    made.element.addEventListener("mousemove", (event) => this.point(event));
    made.element.addEventListener("mouseleave", () => this.light(null));
    made.element.addEventListener("click", () => { if (this.over !== null) open(this.runs[this.over]); });
  }

  // The worst first, so that the best lie on top.
  take(have) {
    const shades = shader(have, this.state);
    const n = have.length;
    this.runs = new Array(n);
    this.ranks = new Float64Array(n);
    // Ordered by rank; equal ranks keep their order.
    const ranks = have.map(shades.rankOf);
    const left = new Uint32Array(n);
    for (const rank of ranks) left[rank] += 1;
    for (let i = 0; i < n; i += 1) {
      const place = n - ranks[i] - left[ranks[i]];
      left[ranks[i]] -= 1;
      this.runs[place] = have[i];
      this.ranks[place] = shades.share(ranks[i]);
    }
    this.places = null;
  }

  // Two canvases: all lines below the axes, the highlighted line above them.
  canvases() {
    const { element } = this.made;
    if (!this.below?.isConnected) {
      [this.below, this.above] = [h("canvas.lines", { "aria-hidden": "true" }), h("canvas.lines", { "aria-hidden": "true" })];
      this.box = h("div.floating", { hidden: true });
      element.prepend(this.below);
      element.append(this.above, this.box);
    }
    const [wide, high, dense] = [element.clientWidth, element.clientHeight, window.devicePixelRatio || 1];
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(wide * dense);
      canvas.height = Math.round(high * dense);
      canvas.getContext("2d").scale(dense, dense);
    }
  }

  // The axes, their positions, and the height of the chart.
  axes() { return this.places ? [this.made.raw.getOption().parallelAxis, this.at, this.made.element.clientHeight] : [[], [], 0]; }

  // The crossings of all runs and axes.
  place() {
    const system = this.made.raw?.getModel().getComponent("parallel", 0)?.coordinateSystem;
    if (!system || !this.runs.length) return false;
    const n = this.runs.length;
    const { parallelAxis: options } = this.made.raw.getOption();
    const point = (v, k) => system.dataToPoint(v, system.dimensions[k]);
    this.at = options.map((option, k) => point(option.type === "category" ? 0 : option.min, k)[0]);
    this.places = options.map((option, k) => {
      const { id: column, type } = option;
      const read = getter(column);
      const ys = new Float32Array(n);
      if (type === "category") {
        const words = categories(this.state.model.byName.get(column.slice(2)));
        const known = new Map(words.map((name, i) => [name, point(i, k)[1]]));
        // Side by side by rank within a category: at one point the last line would hide all others.
        const apart = Math.min(70, 0.55 * (words.length > 1 ? Math.abs(point(1, k)[1] - point(0, k)[1]) : 140));
        for (let i = 0; i < n; i += 1) ys[i] = (known.get(String(read(this.runs[i]))) ?? NaN) + (this.ranks[i] - 0.5) * apart;
        return ys;
      }
      const log = type === "log" ? Math.log : (v) => v;
      const [low, high] = [option.min, option.max];
      const [from, to] = [point(low, k)[1], point(high, k)[1]];
      const slope = (to - from) / (log(high) - log(low));
      for (let i = 0; i < n; i += 1) { const v = read(this.runs[i]); ys[i] = finite(v) ? from + slope * (log(v) - log(low)) : NaN; }
      return ys;
    });
    return true;
  }

  draw() {
    this.turn += 1;
    if (!this.made.raw) return;
    this.canvases();
    this.light(null);
    if (!this.place()) return;
    const { kept } = this.state;
    this.inside = Uint8Array.from(this.runs, (run) => (kept.has(run.id) ? 1 : 0));
    const many = this.runs.length;
    let within = 0;
    for (const one of this.inside) within += one;
    const pen = this.below.getContext("2d");
    Object.assign(pen, { lineWidth: many > 400 ? 1 : 1.4, lineJoin: "bevel" });
    const colours = Array.from({ length: 33 }, (_, k) => rampColour(k / 32));
    const opacity = Math.max(0.07, Math.min(0.7, 10 / Math.sqrt(within)));
    const order = [...(within < many ? indices(this.inside, 0) : []), ...indices(this.inside, 1)];
    const ghosts = order.length - within;
    const turn = this.turn;
    let next = 0;
    const some = () => {
      if (turn !== this.turn) return;
      const began = performance.now();
      while (next < order.length && performance.now() - began < FRAME_MS) {
        const ghost = next < ghosts;
        const shade = ghost ? 0 : Math.round(this.ranks[order[next]] * 32);
        const until = Math.min(order.length, next + AT_ONCE, ghost ? ghosts : Infinity);
        Object.assign(pen, { strokeStyle: ghost ? css("--dim") : colours[shade], globalAlpha: ghost ? Math.min(0.08, 60 / ghosts) : opacity });
        pen.beginPath();
        do { this.trace(pen, order[next]); next += 1; } while (next < until && (ghost || Math.round(this.ranks[order[next]] * 32) === shade));
        pen.stroke();
      }
      if (next < order.length) requestAnimationFrame(some); else this.made.element.dataset.lines = String(within);
    };
    some();
  }

  trace(pen, i) {
    let down = false;
    for (let k = 0; k < this.at.length; k += 1) {
      const y = this.places[k][i];
      if (Number.isNaN(y)) { down = false; continue; }
      if (down) pen.lineTo(this.at[k], y); else pen.moveTo(this.at[k], y);
      down = true;
    }
  }

  // The line nearest to the pointer; beside an axis, the pointer brushes instead.
  point(event) {
    if (!this.places) return;
    const frame = this.made.element.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const k = this.at.findIndex((place, i) => x >= place && x <= this.at[i + 1]);
    if (k < 0 || x - this.at[k] < 12 || this.at[k + 1] - x < 12) { this.light(null); return; }
    const part = (x - this.at[k]) / (this.at[k + 1] - this.at[k]);
    let [found, least] = [null, NEAR];
    for (let i = this.runs.length - 1; i >= 0; i -= 1) {
      if (!this.inside[i]) continue;
      const away = Math.abs(this.places[k][i] * (1 - part) + this.places[k + 1][i] * part - y);
      if (away < least) [found, least] = [i, away];
    }
    this.light(found, x, y);
  }

  light(i, x = 0, y = 0) {
    if (!this.above) return;
    const { element } = this.made;
    if (i !== this.over) {
      this.above.getContext("2d").clearRect(0, 0, element.clientWidth, element.clientHeight);
      this.over = i;
      element.classList.toggle("hot", i !== null);
      this.box.hidden = i === null;
      if (i !== null) {
        const pen = this.above.getContext("2d");
        for (const [width, colour] of [[5, css("--panel")], [2.5, css("--text")]]) { Object.assign(pen, { lineWidth: width, strokeStyle: colour }); pen.beginPath(); this.trace(pen, i); pen.stroke(); }
        this.box.replaceChildren(runTip(this.runs[i], this.state));
      }
    }
    if (i === null) return;
    const right = x + 16 + this.box.offsetWidth > element.clientWidth;
    Object.assign(this.box.style, { left: `${Math.max(0, right ? x - 16 - this.box.offsetWidth : x + 16)}px`, top: `${Math.max(0, Math.min(y - 20, element.clientHeight - this.box.offsetHeight))}px` });
  }
}

const indices = (flags, wanted) => { const found = []; for (let i = 0; i < flags.length; i += 1) if (flags[i] === wanted) found.push(i); return found; };
