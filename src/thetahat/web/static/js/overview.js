// The sweep's charts: metric over time, parallel coordinates, slice, contour.
import { axis, base, chart, css, cut, logAxis, nothing, ramp, rampColour, tip, tooltip } from "./charts.js";
import { go } from "./dom.js";
import { center, finite, short } from "./format.js";
import { categories, counts, FAILED, OPEN, settingFor } from "./model.js";

const MANY = 2000;

const pairsOf = (run, state) => [[state.metric, short(run.metrics[state.metric]) || "none"], ["status", run.status],
  ...Object.entries(run.config).filter(([name]) => state.model.byName.get(name)?.varies).slice(0, 12).map(([name, v]) => [cut(name, 28), cut(short(v), 40)])];
export const runTip = (run, state) => tip(run.name, pairsOf(run, state), FAILED.has(run.status) ? cut(run.reason || "", 160) : OPEN.has(run.status) ? "not over yet" : "click to open it");
export const none = (state) => `No run has ended with a finite ${state.metric || "metric"} yet.`;
export const open = (run) => { if (run) go(`/run/${encodeURIComponent(run.id)}`); };

export function spread(values) {
  const sorted = Float64Array.from(values.filter(finite)).sort();
  if (!sorted.length) return { log: false, low: 0, high: 1 };
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  return { low, high, log: low > 0 && high / low > 20, sorted };
}

// The range of the metric over the runs that ended well: the axis fits them.
export function reach(state, log) {
  const of = (run) => run.metrics[state.metric];
  const valued = state.model.runs.filter((run) => finite(of(run)) && (!log || of(run) > 0));
  const well = valued.filter(counts);
  const { low, high } = spread(well.map(of));
  const [pad, times] = [(high - low) / 4 || Math.abs(low) / 2 || 0.5, high > low ? (high / low) ** 0.25 : 2];
  const [down, up] = log ? [low / times, high * times] : [low - pad, high + pad];
  const aside = (run) => (counts(run) || !well.length ? 0 : of(run) > up ? 1 : of(run) < down ? -1 : 0);
  return { ...spread(valued.filter((run) => !aside(run)).map(of)), aside };
}

// Runs as dots; flat arrays for many runs, where objects would take longer than drawing.
class Dots {
  constructor(name, more) { Object.assign(this, { name, more, runs: [], flat: [] }); }

  add(run, x, y) { this.runs.push(run); this.flat.push(x, y); }

  series(size) {
    const { emphasis, ...more } = this.more;
    return { type: "scatter", name: this.name, symbolSize: size, progressive: 0, large: true, largeThreshold: MANY, dimensions: ["x", "y"], data: Float64Array.from(this.flat), emphasis: { scale: 1.6 }, ...more };
  }
}

const opacityOf = (n) => (n > 4000 ? 0.35 : n > 1000 ? 0.5 : 0.75);
// Up to 4 pixels ECharts fills squares, which is many times faster than discs.
const sizeOf = (n) => (n > MANY ? 3.5 : n > 600 ? 5 : 7);

export function dotsOf(state) {
  return {
    rest: new Dots("filtered out", { itemStyle: { color: css("--dim"), opacity: 0.16 }, silent: true }),
    kept: new Dots("ended", { itemStyle: { color: css("--c1") } }),
    lost: new Dots("no number, or above the axis", { large: false, symbol: "triangle", itemStyle: { color: css("--bad") } }),
    below: new Dots("below the axis", { large: false, symbol: "triangle", symbolRotate: 180, itemStyle: { color: css("--bad") } }),
    open: new Dots("did not end well", { large: false, itemStyle: { color: "transparent", borderColor: css("--c2"), borderWidth: 1.5 } }),
    // A run that did not end well and lies far from the others is drawn at the edge.
    put(run, x, y, edge) {
      const aside = edge.aside(run);
      if (!aside) this.add(run, x, y);
      else if (state.kept.has(run.id)) (aside > 0 ? this.lost : this.below).add(run, x, aside > 0 ? edge.high : edge.low);
    },
    add(run, x, y) { (!state.kept.has(run.id) ? this.rest : counts(run) ? this.kept : this.open).add(run, x, y); },
    get list() { return [this.rest, this.kept, this.open, this.lost, this.below]; },
    series() { const n = this.kept.runs.length; this.kept.more.itemStyle.opacity = opacityOf(n); return this.list.map((one) => one.series(sizeOf(this.rest.runs.length + n))); },
  };
}

// A chart of runs whose dots open their run; `go` may open something else first.
export function dotChart(label, size, option, go) {
  const made = chart(size, label);
  const drawn = { lists: [] };
  const runAt = (p) => drawn.lists[p.seriesIndex]?.runs[p.dataIndex];
  made.on("click", (event) => { if (!go?.(event)) open(runAt(event)); });
  return { element: made.element, draw: () => made.set(() => option(drawn, runAt)), close: () => made.close() };
}

export const timeChart = (state) => dotChart("The metric of each run, and the running best", "", (drawn, runAt) => timeOption(state, drawn, runAt));

function timeOption(state, drawn, runAt) {
  const byTime = state.x === "time";
  const at = (run) => (byTime ? Date.parse(run.finished || run.heartbeat || run.created) : run.number - state.first + 1);
  const dots = dotsOf(state);
  const ended = [];
  const lost = [];
  const edge = reach(state, state.logY);
  let last = -Infinity;
  for (const run of state.model.runs) {
    const y = run.metrics[state.metric];
    if (!finite(y) && FAILED.has(run.status)) lost.push(run);
    if (!finite(y) || (state.logY && y <= 0)) continue;
    const x = at(run);
    if (x > last) last = x;
    dots.put(run, x, y, edge);
    if (counts(run)) ended.push([x, y]);
  }
  if (last === -Infinity) return nothing(none(state));
  // A failed run without a number is drawn at the upper edge.
  for (const run of lost) if (state.kept.has(run.id)) dots.lost.add(run, at(run), edge.high);
  drawn.lists = dots.list;
  const told = (state.model.standing?.replicated ? state.model.standing : state.model.sampled)?.running[byTime ? "time" : "run"] ?? null;
  // With replicates the best is a setting's median, or the mean of its folds, never the luckiest run.
  if (told) ended.splice(0, Infinity, ...told.map(([at, y]) => [byTime ? Date.parse(at) : at - state.first + 1, y]));
  const line = [];
  if (byTime) ended.sort((a, b) => a[0] - b[0]);
  // Steps as separate points: ECharts' own steps lose a small one beside a large one.
  for (const [x, y] of ended) {
    const before = line.length ? line[line.length - 1][1] : null;
    if (before === null) line.push([x, y]); else if (state.sign * y < state.sign * before) line.push([x, before], [x, y]);
  }
  if (line.length) line.push([last, line[line.length - 1][1]]);
  const x = byTime ? axis("", { type: "time", axisLabel: { color: css("--dim"), fontSize: 11, hideOverlap: true } }) : axis("run", { minInterval: 1 });
  return base({
    xAxis: { ...x, splitLine: { show: false } }, yAxis: metricAxis(state),
    tooltip: tooltip({ formatter: (p) => { const run = runAt(p); return run ? runTip(run, state) : ""; } }),
    series: [...dots.series(), { type: "line", name: "running best", data: line, showSymbol: false, lineStyle: { color: css("--c2"), width: 2 }, z: 5, silent: true }],
  });
}

// Colours by rank of the metric, so that outliers do not use up the ramp.
export function shader(runs, state) {
  // A replicated run has the value of its setting.
  const judged = state.model.standing?.replicated;
  const worth = (run) => (judged && finite(center(settingFor(run))) ? center(settingFor(run)) : run.metrics[state.metric]);
  const sorted = Float64Array.from(runs, (run) => state.sign * worth(run)).sort();
  const colours = ramp();
  const rankOf = (run) => {
    const v = state.sign * worth(run);
    let low = 0;
    let high = sorted.length;
    while (low < high) { const mid = (low + high) >> 1; if (sorted[mid] < v) low = mid + 1; else high = mid; }
    return low;
  };
  const share = (at) => (sorted.length > 1 ? at / (sorted.length - 1) : 0);
  const at = (run) => share(rankOf(run));
  return { at, rankOf, share, colour: (run) => rampColour(at(run), colours), colours };
}

// The background of a contour as one image: a thousand rectangles would take longer than all the rest.
function painted(cells, colours) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: WIDE, height: HIGH });
  const pen = canvas.getContext("2d");
  pen.globalAlpha = 0.55;
  for (const { i, j, t } of cells) { pen.fillStyle = rampColour(t, colours); pen.fillRect(i, HIGH - 1 - j, 1, 1); }
  const large = document.createElement("canvas");
  Object.assign(large, { width: WIDE * GRAIN, height: HIGH * GRAIN });
  const wide = large.getContext("2d");
  wide.imageSmoothingEnabled = false;
  wide.drawImage(canvas, 0, 0, WIDE * GRAIN, HIGH * GRAIN);
  return large;
}

function metricAxis(state) {
  if (!state.logY) return axis("");
  const { low, high } = reach(state, true);
  return logAxis("", low, high);
}

export const sliceChart = (state) => dotChart("The metric against one parameter", "", (drawn, runAt) => sliceOption(state, drawn, runAt));

function place(parameter) {
  if (!parameter.discrete) return { of: (v) => v, axis: parameter.log ? { type: "log", min: parameter.low, max: parameter.high } : { type: "value" } };
  const words = categories(parameter);
  const code = new Map(words.map((w, i) => [w, i]));
  return { of: (v) => code.get(String(v)), axis: { type: "category", data: words, boundaryGap: true } };
}

function sliceOption(state, drawn, runAt) {
  const parameter = state.model.byName.get(state.slice);
  if (!parameter) return nothing("No parameter varies.");
  const x = place(parameter);
  const dots = dotsOf(state);
  const edge = reach(state, state.logY);
  for (const run of state.model.runs) {
    const [v, y] = [x.of(run.config[parameter.name]), run.metrics[state.metric]];
    if (!ok(v) || !finite(y) || (state.logY && y <= 0)) continue;
    dots.put(run, v, y, edge);
  }
  if (!dots.list.some((one) => one.runs.length)) return nothing(none(state));
  drawn.lists = dots.list;
  const said = axis(parameter.name, { ...x.axis });
  if (parameter.discrete && x.axis.data.length <= 12) {
    // The number of runs of each median.
    const counted = x.axis.data.map(() => 0);
    for (let i = 0; i < dots.kept.flat.length; i += 2) counted[dots.kept.flat[i]] += 1;
    said.axisLabel = { ...said.axisLabel, lineHeight: 13, formatter: (v, i) => `${cut(String(v), 12)}\nn=${counted[i]}` };
    said.nameGap = 34;
  }
  return base({
    xAxis: said, yAxis: metricAxis(state),
    tooltip: tooltip({ formatter: (p) => { const run = runAt(p); return run ? runTip(run, state) : ""; } }),
    series: [...dots.series(), ...(parameter.discrete ? [medians(dots.kept.flat)] : [])],
  });
}

function medians(flat) {
  const by = new Map();
  for (let i = 0; i < flat.length; i += 2) { if (!by.has(flat[i])) by.set(flat[i], []); by.get(flat[i]).push(flat[i + 1]); }
  const middle = (list) => { list.sort((a, b) => a - b); const m = list.length >> 1; return list.length % 2 ? list[m] : (list[m - 1] + list[m]) / 2; };
  const data = [...by].map(([x, ys]) => [x, middle(ys)]).sort((a, b) => a[0] - b[0]);
  return { type: "line", name: "median", data,  symbol: "diamond", symbolSize: 9, z: 6, silent: true, lineStyle: { color: css("--c2"), width: 2 }, itemStyle: { color: css("--c2") } };
}

export const contourChart = (state) => dotChart("The metric over two parameters", "", (drawn, runAt) => contourOption(state, drawn, runAt));

const [WIDE, HIGH] = [44, 32];
const GRAIN = 16;
const LEVELS = 9;

// A surface between the runs: the mean of near runs weighted by distance, blank if none is near.
export function surface(points, levels) {
  const cells = [];
  const reach = Math.max(0.07, Math.min(0.25, 1.6 / Math.sqrt(points.length)));
  const far = 4 * reach * reach;
  for (let i = 0; i < WIDE; i += 1) {
    for (let j = 0; j < HIGH; j += 1) {
      const [x, y] = [(i + 0.5) / WIDE, (j + 0.5) / HIGH];
      let [sum, weight, near] = [0, 0, Infinity];
      for (const p of points) {
        const d = (p.x - x) ** 2 + (p.y - y) ** 2;
        if (d < near) near = d;
        if (d > far) continue;
        const w = Math.exp(-d / (2 * (reach / 2) ** 2));
        sum += w * p.t;
        weight += w;
      }
      if (Math.sqrt(near) < reach && weight > 0) cells.push({ i, j, t: Math.round((sum / weight) * levels) / levels });
    }
  }
  return cells;
}

function contourOption(state, drawn, runAt) {
  const [px, py] = [state.model.byName.get(state.cx), state.model.byName.get(state.cy)];
  if (!px || !py || px === py) return nothing("Two parameters that vary are needed.");
  const [x, y] = [place(px), place(py)];
  const have = state.model.runs.filter((run) => counts(run) && finite(run.metrics[state.metric]) && ok(x.of(run.config[px.name])) && ok(y.of(run.config[py.name])));
  if (!have.length) return nothing(none(state));
  const shades = shader(have, state);
  const unit = (p, at) => (v) => { const n = at.of(v); if (p.discrete) return (n + 0.5) / Math.max(1, at.axis.data.length); if (p.high === p.low) return 0.5; return p.log ? Math.log(n / p.low) / Math.log(p.high / p.low) : (n - p.low) / (p.high - p.low); };
  const [ux, uy] = [unit(px, x), unit(py, y)];
  const every = Math.max(1, Math.ceil(have.length / 1200));
  const points = have.filter((_, i) => i % every === 0).map((run) => ({ x: ux(run.config[px.name]), y: uy(run.config[py.name]), t: shades.at(run) }));
  const cells = points.length >= 8 ? surface(points, LEVELS) : [];
  const ground = painted(cells, shades.colours);
  const bounds = (p, at) => (!p.discrete ? { ...at.axis, min: p.low, max: p.high } : at.axis);
  const inside = have.filter((run) => state.kept.has(run.id));
  const shown = inside.filter((_, i) => i % Math.max(1, Math.ceil(inside.length / 1500)) === 0);
  const many = shown.length > 600;
  const layers = Array.from({ length: LEVELS + 1 }, (_, k) => new Dots(`rank ${k}`, { itemStyle: { color: rampColour(k / LEVELS, shades.colours), borderColor: css("--panel"), borderWidth: many ? 0.5 : 1 } }));
  for (const run of shown) layers[Math.round(shades.at(run) * LEVELS)].add(run, x.of(run.config[px.name]), y.of(run.config[py.name]));
  drawn.lists = [{ runs: [] }, ...layers];
  return base({
    xAxis: axis(px.name, bounds(px, x)), yAxis: axis(py.name, { ...bounds(py, y), nameGap: 34 }),
    grid: { left: 22, right: 16, top: 14, bottom: 26, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: tooltip({ formatter: (p) => { const run = runAt(p); return run ? runTip(run, state) : ""; } }),
    series: [
      { type: "custom", silent: true, data: cells.length ? [[0]] : [], clip: true, encode: {}, renderItem: ({ coordSys: { x, y, width, height } }) => ({ type: "image", silent: true, style: { image: ground, x, y, width, height } }) },
      // The worst below, the best on top.
      ...layers.map((one, k) => ({ ...one.series(many ? 3.5 : 7), largeThreshold: many ? 1 : MANY, z: 3 + (LEVELS - k) / 100 })),
    ],
  });
}

const ok = (v) => v !== undefined && v !== null && (typeof v !== "number" || finite(v));
