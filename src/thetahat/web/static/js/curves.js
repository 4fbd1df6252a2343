// Curves of records: one chart for the train and val part of a metric, log scale, smoothing.
import { axis, base, chart, css, lineColour, logAxis, tip, tooltip } from "./charts.js";
import { h } from "./dom.js";
import { finite, short } from "./format.js";

const PART = /^(train|val|valid|validation|test)[_/.-](.+)$|^(.+)[_/.-](train|val|valid|validation|test)$/;

// train_risk and val_risk share one chart, "risk"; a metric without a part has a chart of its own.
export function families(names) {
  const found = new Map();
  for (const name of names) {
    const match = PART.exec(name);
    const key = match ? match[2] || match[3] : name;
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(name);
  }
  const order = (list) => list.sort((a, b) => partRank(a) - partRank(b));
  return [...found].map(([key, list]) => [list.length > 1 ? key : list[0], order(list)]).sort((a, b) => keeping(a[1]) - keeping(b[1]) || b[1].length - a[1].length);
}

// The column over which a program wants a metric drawn (wandb.define_metric), if the run has it; else
// the one that counts its records.
export function axisOf(run, name, columns, counting) {
  const axes = Object.entries(run.labels?.axes || {}), named = axes.find(([pattern]) => pattern === name);
  const fits = (pattern) => pattern.includes("*") && new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`).test(name);
  const [, own] = named || axes.filter(([pattern, axis]) => axis !== name && fits(pattern)).at(-1) || [];
  return own !== undefined && own !== name && columns[own]?.some(finite) ? own : counting;
}

// The points of a column over another, in its order.
export function pointsOver(columns, x, name) {
  const at = (columns[x] || []).map((_, i) => i).filter((i) => columns[name][i] !== null && finite(columns[x][i]));
  at.sort((a, b) => columns[x][a] - columns[x][b] || a - b);
  return { x: at.map((i) => columns[x][i]), y: at.map((i) => columns[name][i]) };
}

// Columns about progress, such as seconds, come last.
export const BOOKS = new Set(["learning_rate", "lr", "momentum", "seconds", "time", "runtime"]);
const keeping = (list) => Number(list.every((name) => BOOKS.has(name)));
const partRank = (name) => { const i = ["train", "val", "test"].findIndex((p) => name.includes(p)); return i < 0 ? 3 : i; };

// An exponential moving average that does not start from zero, and steps over gaps.
export function smoothed(values, weight) {
  if (!weight) return values;
  let [sum, norm] = [0, 0];
  return values.map((v) => { if (!finite(v)) return v; sum = weight * sum + (1 - weight) * v; norm = weight * norm + (1 - weight); return sum / norm; });
}

// lines: [{ name, x, y, colour, dash, wide }]; mark: an x to point at, with its words.
export function curveChart(label, size = "") {
  const made = chart(size, label);
  made.show = (lines, { log, smooth, axisName, mark, bands = [] }) => made.set(() => {
    const colour = (line, i) => (typeof line.colour === "number" ? lineColour(line.colour) : line.colour ? css(line.colour) : lineColour(i));
    const point = (y) => (finite(y) && !(log && y <= 0) ? y : null);
    const series = lines.flatMap((line, i) => {
      const common = { type: "line", name: line.name, showSymbol: line.x.length < 2, symbolSize: 6, connectNulls: true, sampling: "lttb", lineStyle: { color: colour(line, i), width: line.wide || 1.8, type: line.dash ? "dashed" : "solid" }, itemStyle: { color: colour(line, i) }, emphasis: { focus: lines.length > 2 ? "series" : "none" } };
      const main = { ...common, data: line.x.map((x, k) => [x, point(smoothed(line.y, smooth)[k])]) };
      if (smooth) main.data = ((s) => line.x.map((x, k) => [x, point(s[k])]))(smoothed(line.y, smooth));
      const raw = smooth && lines.length < 8 ? [{ ...common, data: line.x.map((x, k) => [x, point(line.y[k])]), lineStyle: { ...common.lineStyle, width: 1, opacity: 0.25 }, silent: true, tooltip: { show: false }, name: `${line.name} ` }] : [];
      return [main, ...raw];
    });
    const frame = framed(lines, bands, log);
    if (frame) series.push(...arrows(lines, frame, log, colour));
    const told = lines.filter((line) => line.band);
    for (const line of told) series.push(counted(line, colour(line, 0), told.length));
    if (mark && series.length && finite(mark.x)) series[0].markLine = { symbol: "none", silent: true, animation: false, lineStyle: { color: css("--c3"), type: "dashed", width: 1.5 }, label: { formatter: mark.words, color: css("--c3"), fontSize: 11, position: "insideEndTop" }, data: [{ xAxis: mark.x }] };
    return base({
      xAxis: axis(axisName || "", { splitLine: { show: false }, scale: true, max: "dataMax" }), yAxis: log ? logAxis("", ...extent([...lines.filter((line) => !frame || !line.lost), ...bands])) : axis("", frame || {}), series: [...bands.map((b, i) => bandSeries(b, typeof b.colour === "number" ? lineColour(b.colour) : lineColour(i), log)), ...series],
      tooltip: tooltip({ trigger: "axis", axisPointer: { type: "line", lineStyle: { color: css("--dim") } }, formatter: (ps) => tip(`${axisName} ${short(ps[0]?.axisValue)}`, ps.filter((p) => p.seriesType === "line" && !p.seriesName.endsWith(" ")).slice(0, 16).flatMap((p) => [[p.seriesName, short(p.value[1])], ...spreadAt(lines, p)])) }),
    });
  });
  return made;
}

function extent(lines) {
  let [low, high] = [Infinity, 0];
  for (const line of lines) for (const list of [line.y, line.low, line.high]) for (const v of list || []) if (finite(v) && v > 0) { if (v < low) low = v; if (v > high) high = v; }
  return [low, high];
}

// Fit the axis to the runs that did not fail; undefined if all or none failed.
function framed(lines, bands, log) {
  const well = lines.filter((line) => !line.lost);
  if (!well.length || well.length === lines.length) return null;
  let [low, high] = [Infinity, -Infinity];
  for (const line of [...well, ...bands]) for (const list of [line.y, line.low, line.high]) for (const v of list || []) if (finite(v) && !(log && v <= 0)) { if (v < low) low = v; if (v > high) high = v; }
  if (low > high) return null;
  if (log) { const drawn = logAxis("", low, high); return { min: drawn.min ?? low, max: drawn.max ?? high }; }
  const unit = 10 ** Math.floor(Math.log10((high - low || Math.abs(high) || 1) / 5));
  const step = unit * [1, 2, 5, 10].find((k) => k * unit * 5 >= high - low);
  const round = (v) => Number(v.toPrecision(6));
  return { min: round(Math.floor(low / step) * step), max: round(Math.ceil(high / step) * step), interval: round(step) };
}

// Arrows at the edge where the line of a failed run leaves the axis.
function arrows(lines, { min, max }, log, colour) {
  return lines.flatMap((line, i) => {
    if (!line.lost) return [];
    const outside = (y) => finite(y) && (y > max || (y < min && !(log && y <= 0)));
    // The last exit: at its start a run may be above all others and come down.
    let at = line.y.length - 1;
    while (at >= 0 && !finite(line.y[at])) at -= 1;
    if (at < 0 || !outside(line.y[at])) return [];
    while (at > 0 && outside(line.y[at - 1])) at -= 1;
    const up = line.y[at] > max;
    const edge = up ? max : min;
    const [from, to] = [line.y[at - 1], line.y[at]];
    // On the line, where it crosses the edge.
    const x = at > 0 && finite(from) ? line.x[at - 1] + ((edge - from) / (to - from)) * (line.x[at] - line.x[at - 1]) : line.x[at];
    return [{ type: "scatter", name: `${line.name} leaves `, silent: true, symbol: "triangle", symbolRotate: up ? 0 : 180, symbolSize: 11, symbolOffset: [0, up ? 6 : -6], z: 8, tooltip: { show: false }, itemStyle: { color: colour(line, i) }, data: [[x, edge]] }];
  });
}

// Labels at the ends of a curve lie inside the axes, whose numbers they would cover.
function alignOf(x, all) {
  const share = (x - all[0]) / Math.max(1e-9, all[all.length - 1] - all[0]);
  return share < 0.1 ? "left" : share > 0.9 ? "right" : "center";
}

// How many runs a band rests on where that changes; if often, at some places.
function counted(line, colour, groups) {
  const most = groups > 3 ? 1 : 6;
  const all = line.band.changes;
  const every = Math.max(1, Math.ceil((all.length - 1) / Math.max(1, most - 1)));
  const shown = all.filter((_, k) => k % every === 0 || (k === all.length - 1 && groups <= 3)).slice(0, most + 1);
  const y = new Map(line.band.x.map((x, k) => [x, line.band.middle[k]]));
  return { type: "scatter", name: `${line.name} n `, silent: true, symbolSize: 5, z: 7, tooltip: { show: false }, itemStyle: { color: colour }, label: { show: true, position: "top", fontSize: 10, color: css("--text"), backgroundColor: css("--panel"), padding: [1, 3], borderRadius: 2, formatter: (p) => `n=${p.value[2]}` }, labelLayout: { hideOverlap: true }, data: shown.map(([x, n]) => ({ value: [x, y.get(x), n], label: { align: alignOf(x, line.band.x) } })) };
}

// For a band also its quantiles at a place, and n.
function spreadAt(lines, point) {
  const band = lines.find((line) => line.name === point.seriesName)?.band;
  const k = band ? band.x.indexOf(point.value[0]) : -1;
  return k < 0 ? [] : [["10 % to 90 %", `${short(band.low[k])} to ${short(band.high[k])}`], ["runs", `${band.n[k]} of ${band.began}`]];
}

function bandSeries(band, colour, log) {
  const data = band.x.map((x, k) => [x, band.low[k], band.high[k]]).filter((d) => finite(d[1]) && finite(d[2]) && !(log && d[1] <= 0));
  return { type: "custom", data: data.length ? [[data[0][0], Math.min(...data.map((d) => d[1]))], [data[data.length - 1][0], Math.max(...data.map((d) => d[2]))]] : [], silent: true, clip: true, z: 1, encode: { x: 0, y: 1 },
    renderItem: (params, api) => { if (params.dataIndex > 0) return { type: "group", children: [] }; const points = [...data.map((d) => api.coord([d[0], d[1]])), ...[...data].reverse().map((d) => api.coord([d[0], d[2]]))]; return { type: "polygon", shape: { points }, style: { fill: colour, opacity: 0.16 }, silent: true }; } };
}

export const legend = (lines) => h("div.legend", {}, lines.map((line, i) => h("span", {}, h("i", { style: { background: typeof line.colour === "number" ? `var(--c${(line.colour % 8) + 1})` : `var(${line.colour || `--c${(i % 8) + 1}`})` } }), line.link || line.name)));

export const spansDecades = (lines) => { const v = lines.flatMap((l) => l.y.filter(finite)); let [low, high] = [Infinity, -Infinity]; for (const y of v) { if (y < low) low = y; if (y > high) high = y; } return low > 0 && high / low > 50; };
