// The sweep's charts: metric over time, parallel coordinates, slice, contour.
import { axis, base, chart, css, cut, logAxis, nothing, ramp, rampColour, tip, tooltip } from "./charts.js";
import { finite, local, short } from "./format.js";
import { best, categories, counts, FAILED, OPEN, value } from "./model.js";

const MOST_LINES = 1500;
const MOST_AXES = 10;

const pairsOf = (run, state) => [[state.metric, short(run.metrics[state.metric]) || "none"], ["status", run.status],
  ...Object.entries(run.config).filter(([name]) => state.model.byName.get(name)?.varies).slice(0, 12).map(([name, v]) => [cut(name, 28), cut(short(v), 40)])];
const runTip = (run, state) => tip(run.name, pairsOf(run, state), FAILED.has(run.status) ? cut(run.reason || "", 160) : OPEN.has(run.status) ? "not over yet" : "click to open it");
const none = (state) => `No run has ended with a finite ${state.metric || "metric"} yet.`;
export const open = (run) => { if (run) location.href = `/run/${encodeURIComponent(run.id)}`; };

export function spread(values) {
  const sorted = values.filter(finite).sort((a, b) => a - b);
  if (!sorted.length) return { log: false, low: 0, high: 1 };
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  return { low, high, log: low > 0 && high / low > 20, sorted };
}

export function timeChart(state) {
  const made = chart("", "The metric of each run, and the running best");
  made.on("click", (event) => open(state.model.byId.get(event.data?.id)));
  return { element: made.element, draw: () => made.set(() => timeOption(state)) };
}

function timeOption(state) {
  const byTime = state.x === "time";
  const at = (run) => (byTime ? Date.parse(run.finished || run.heartbeat || run.created) : run.number - state.first + 1);
  const [kept, rest, unfinished] = [[], [], []];
  const have = state.model.runs.filter((run) => finite(run.metrics[state.metric]) && (!state.logY || run.metrics[state.metric] > 0));
  for (const run of have) {
    const point = { value: [at(run), run.metrics[state.metric]], id: run.id };
    if (!state.kept.has(run.id)) rest.push(point); else if (!counts(run)) unfinished.push(point); else kept.push(point);
  }
  if (!have.length) return nothing(none(state));
  const line = [];
  let lead = null;
  for (const run of [...have].filter(counts).sort((a, b) => at(a) - at(b))) {
    const v = run.metrics[state.metric];
    if (lead === null || state.sign * v < state.sign * lead) { lead = v; line.push([at(run), v]); }
  }
  if (line.length) line.push([Math.max(...have.map(at)), lead]);
  const size = have.length > 3000 ? 4 : have.length > 600 ? 5 : 7;
  const x = byTime ? axis("", { type: "time", axisLabel: { color: css("--dim"), fontSize: 11, hideOverlap: true } }) : axis("run", { minInterval: 1 });
  const common = { type: "scatter", symbolSize: size, progressive: 0, largeThreshold: 2000, large: true, emphasis: { scale: 1.6 } };
  return base({
    xAxis: { ...x, splitLine: { show: false } }, yAxis: metricAxis(state),
    tooltip: tooltip({ formatter: (p) => (p.data?.id ? runTip(state.model.byId.get(p.data.id), state) : tip("running best", [[state.metric, short(p.value[1])]])) }),
    series: [
      { ...common, name: "filtered out", data: rest, itemStyle: { color: css("--dim"), opacity: 0.16 }, silent: true },
      { ...common, name: "ended", data: kept, itemStyle: { color: css("--c1"), opacity: have.length > 2000 ? 0.45 : 0.75 } },
      { ...common, name: "not over, or failed", data: unfinished, itemStyle: { color: "transparent", borderColor: css("--c2"), borderWidth: 1.5 } },
      { type: "line", name: "running best", step: "end", data: line, showSymbol: false, lineStyle: { color: css("--c2"), width: 2 }, z: 5, silent: true },
    ],
  });
}

export function parallelChart(state, onbrush) {
  const made = chart("tall", "Parallel coordinates: one line for each run; drag along an axis to filter the table");
  made.on("click", (event) => open(state.model.byId.get(event.data?.id)));
  made.on("axisareaselected", (event) => {
    const given = Array.isArray(event.batch) ? event.batch : [event];
    for (const one of given) {
      const column = columnOf(made.raw, one);
      if (column) state.brushes[column] = (one.intervals || []).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
    }
    onbrush();
  });
  made.drawn = () => shownBrushes(made, state);
  const draw = () => made.set(() => parallelOption(state));
  return { element: made.element, draw, brush: () => shownBrushes(made, state), raw: made };
}

function shownBrushes(made, state) {
  axesOf(state).forEach((column) => {
    const intervals = state.brushes[column] || [];
    if (intervals.length || made.brushedAxes?.has(column)) made.act({ type: "axisAreaSelect", parallelAxisId: column, intervals, silent: true });
  });
  made.brushedAxes = new Set(Object.keys(state.brushes).filter((c) => state.brushes[c].length));
}

function columnOf(raw, event) {
  if (event.parallelAxisId) return event.parallelAxisId;
  const options = raw.getOption().parallelAxis;
  return options[event.parallelAxisIndex]?.id;
}

export function axesOf(state) {
  const most = document.documentElement.clientWidth < 640 ? 4 : MOST_AXES;
  const chosen = state.axes.filter((name) => state.model.byName.has(name));
  const ranked = state.ranking.filter((name) => state.model.byName.get(name)?.varies);
  const all = chosen.length ? chosen : state.model.varying.length <= most ? state.model.varying.map((p) => p.name)
    : (ranked.length ? ranked : state.model.varying.map((p) => p.name)).slice(0, most);
  return [...all.map((name) => `c.${name}`), ...(state.metric ? [`m.${state.metric}`] : [])];
}

// Where there are more runs than can be told apart: the best, and every k-th of the others.
export function sampled(runs, state) {
  if (runs.length <= MOST_LINES) return runs;
  const sorted = [...runs].sort((a, b) => state.sign * (a.metrics[state.metric] - b.metrics[state.metric]));
  const [top, others] = [sorted.slice(0, 150), sorted.slice(150)];
  const every = others.length / (MOST_LINES - top.length);
  return [...Array.from({ length: MOST_LINES - top.length }, (_, i) => others[Math.floor(i * every)]).reverse(), ...top.reverse()];
}

function parallelOption(state) {
  const columns = axesOf(state);
  const have = state.model.runs.filter((run) => finite(run.metrics[state.metric]) && !FAILED.has(run.status));
  if (!have.length) return nothing(none(state));
  const runs = sampled(have, state);
  const shades = shader(have, state);
  const ordered = runs.length < have.length ? runs : [...runs].sort((a, b) => shades.at(a) - shades.at(b)).reverse();
  const narrow = document.documentElement.clientWidth < 640;
  const axes = columns.map((column, dim) => {
    const name = column.slice(2);
    const parameter = column.startsWith("c.") ? state.model.byName.get(name) : null;
    const info = parameter || spread(have.map((run) => run.metrics[name]));
    const more = parameter?.discrete ? { type: "category", data: categories(parameter) }
      : { type: info.log ? "log" : "value", scale: true, min: info.low, max: info.high };
    return { dim, id: column, name: cut(name, narrow ? 9 : 22), nameLocation: "end", nameTextStyle: { color: css(parameter ? "--text" : "--accent"), fontSize: 11, fontWeight: parameter ? 400 : 650 },
      axisLine: { lineStyle: { color: css("--dim") } }, axisTick: { show: false }, axisLabel: { color: css("--dim"), fontSize: 10, formatter: (v) => cut(short(typeof v === "number" ? Number(v.toPrecision(3)) : v, 3), 14), hideOverlap: true, showMinLabel: true, showMaxLabel: true, backgroundColor: css("--panel"), padding: [1, 2], borderRadius: 2 }, z: 20,
      areaSelectStyle: { width: 18, color: css("--c2"), opacity: 0.25, borderColor: css("--c2") }, ...more };
  });
  return base({
    parallel: { left: narrow ? 24 : 46, right: narrow ? 40 : 64, top: 34, bottom: 16 }, parallelAxis: axes, grid: undefined,
    series: [{ type: "parallel", progressive: 0, smooth: false, inactiveOpacity: 0.02, activeOpacity: runs.length > 400 ? 0.5 : 0.85,
      lineStyle: { width: runs.length > 400 ? 1 : 1.4, opacity: runs.length > 400 ? 0.35 : 0.65 }, emphasis: { lineStyle: { width: 3, opacity: 1 } },
      data: ordered.map((run) => ({ id: run.id, name: run.name, value: columns.map((c) => { const v = value(run, c); return v === null || v === undefined || (typeof v === "number" && !finite(v)) ? "-" : typeof v === "number" && finite(v) && axes[columns.indexOf(c)].type !== "category" ? v : String(v); }), lineStyle: { color: shades.colour(run) } })) }],
    tooltip: tooltip({ trigger: "item", formatter: (p) => { const run = state.model.byId.get(p.data?.id); return run ? runTip(run, state) : ""; } }),
  });
}

// Colours by rank of the metric: outliers do not take the whole ramp.
export function shader(runs, state) {
  const sorted = runs.map((run) => state.sign * run.metrics[state.metric]).sort((a, b) => a - b);
  const colours = ramp();
  const at = (run) => {
    const v = state.sign * run.metrics[state.metric];
    let [low, high] = [0, sorted.length];
    while (low < high) { const mid = (low + high) >> 1; if (sorted[mid] < v) low = mid + 1; else high = mid; }
    return sorted.length > 1 ? low / (sorted.length - 1) : 0;
  };
  return { at, colour: (run) => rampColour(at(run), colours), colours };
}

// Whole pixels, so that neighbours neither overlap nor gape.
function cellBox({ i, j }, { x, y, width, height }) {
  const [left, right] = [i, i + 1].map((k) => Math.round(x + (k / WIDE) * width));
  const [top, bottom] = [j + 1, j].map((k) => Math.round(y + (1 - k / HIGH) * height));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function metricAxis(state) {
  if (!state.logY) return axis("");
  const { low, high } = spread(state.model.runs.map((run) => run.metrics[state.metric]).filter((v) => v > 0));
  return logAxis("", low, high);
}

export function sliceChart(state) {
  const made = chart("", "The metric against one parameter");
  made.on("click", (event) => open(state.model.byId.get(event.data?.id)));
  return { element: made.element, draw: () => made.set(() => sliceOption(state)) };
}

function place(parameter) {
  if (!parameter.discrete) return { of: (v) => v, axis: parameter.log ? { type: "log", min: parameter.low, max: parameter.high } : { type: "value" } };
  const words = categories(parameter);
  const code = new Map(words.map((w, i) => [w, i]));
  return { of: (v) => code.get(String(v)), axis: { type: "category", data: words, boundaryGap: true } };
}

function sliceOption(state) {
  const parameter = state.model.byName.get(state.slice);
  if (!parameter) return base();
  const x = place(parameter);
  const groups = [[], [], []];
  for (const run of state.model.runs) {
    const [v, y] = [x.of(run.config[parameter.name]), run.metrics[state.metric]];
    if (v === undefined || v === null || !finite(y) || (state.logY && y <= 0)) continue;
    groups[!state.kept.has(run.id) ? 0 : counts(run) ? 1 : 2].push({ value: [v, y], id: run.id });
  }
  if (!groups.some((g) => g.length)) return nothing(none(state));
  const n = groups[1].length;
  const common = { type: "scatter", symbolSize: n > 2000 ? 4 : 7, progressive: 0, large: true, largeThreshold: 2000 };
  return base({
    xAxis: axis(parameter.name, { ...x.axis }), yAxis: metricAxis(state),
    tooltip: tooltip({ formatter: (p) => runTip(state.model.byId.get(p.data.id), state) }),
    series: [{ ...common, data: groups[0], silent: true, itemStyle: { color: css("--dim"), opacity: 0.16 } },
      { ...common, data: groups[1], itemStyle: { color: css("--c1"), opacity: n > 1000 ? 0.4 : 0.7 } },
      { ...common, data: groups[2], itemStyle: { color: "transparent", borderColor: css("--c2"), borderWidth: 1.5 } },
      ...(parameter.discrete ? [medians(groups[1])] : [])],
  });
}

function medians(points) {
  const by = new Map();
  for (const { value: [x, y] } of points) { if (!by.has(x)) by.set(x, []); by.get(x).push(y); }
  const middle = (list) => { list.sort((a, b) => a - b); const m = list.length >> 1; return list.length % 2 ? list[m] : (list[m - 1] + list[m]) / 2; };
  const data = [...by].map(([x, ys]) => [x, middle(ys)]).sort((a, b) => a[0] - b[0]);
  return { type: "line", name: "median", data, symbol: "diamond", symbolSize: 9, z: 6, silent: true, lineStyle: { color: css("--c2"), width: 2 }, itemStyle: { color: css("--c2") } };
}

export function contourChart(state) {
  const made = chart("", "The metric over two parameters");
  made.on("click", (event) => open(state.model.byId.get(event.data?.id)));
  return { element: made.element, draw: () => made.set(() => contourOption(state)) };
}

const [WIDE, HIGH] = [44, 32];

// A surface between the runs: the mean of near runs by distance, blank where none is near.
export function surface(points, levels) {
  const cells = [];
  const reach = Math.max(0.07, Math.min(0.25, 1.6 / Math.sqrt(points.length)));
  for (let i = 0; i < WIDE; i += 1) {
    for (let j = 0; j < HIGH; j += 1) {
      const [x, y] = [(i + 0.5) / WIDE, (j + 0.5) / HIGH];
      let [sum, weight, near] = [0, 0, Infinity];
      for (const p of points) {
        const d = (p.x - x) ** 2 + (p.y - y) ** 2;
        if (d < near) near = d;
        const w = Math.exp(-d / (2 * (reach / 2) ** 2));
        sum += w * p.t;
        weight += w;
      }
      if (Math.sqrt(near) < reach && weight > 0) cells.push({ i, j, t: Math.round((sum / weight) * levels) / levels });
    }
  }
  return cells;
}

function contourOption(state) {
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
  const cells = points.length >= 8 ? surface(points, 9) : [];
  const bounds = (p, at) => (!p.discrete ? { ...at.axis, min: p.low, max: p.high } : at.axis);
  const inside = have.filter((run) => state.kept.has(run.id));
  const shown = inside.filter((_, i) => i % Math.max(1, Math.ceil(inside.length / 1500)) === 0);
  return base({
    xAxis: axis(px.name, bounds(px, x)), yAxis: axis(py.name, { ...bounds(py, y), nameGap: 34 }),
    grid: { left: 22, right: 16, top: 14, bottom: 26, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: tooltip({ formatter: (p) => { const run = state.model.byId.get(p.data?.id); return run ? runTip(run, state) : ""; } }),
    series: [
      { type: "custom", silent: true, data: cells.length ? [[0]] : [], clip: true, encode: {}, renderItem: (params) => ({ type: "group", children: cells.map((c) => ({ type: "rect", silent: true, shape: cellBox(c, params.coordSys), style: { fill: rampColour(c.t, shades.colours), opacity: 0.55 } })) }) },
      { type: "scatter", progressive: 0, symbolSize: have.length > 1000 ? 4 : 7, data: shown.map((run) => ({ value: [x.of(run.config[px.name]), y.of(run.config[py.name])], id: run.id, itemStyle: { color: shades.colour(run) } })), itemStyle: { borderColor: css("--panel"), borderWidth: have.length > 1000 ? 0 : 1 } },
    ],
  });
}

const ok = (v) => v !== undefined && v !== null && (typeof v !== "number" || finite(v));
export { best, local };
