// ECharts in our colours. Tooltips are elements made of text nodes, never HTML of data.
import { h } from "./dom.js";
import { plainly, short } from "./format.js";

const charts = new Set();
// ECharts has a megabyte: the page reads its runs while it loads.
let echarts = null;
import("../vendor/echarts/echarts.esm.min.js").then((library) => { echarts = library; for (const one of charts) setTimeout(one.arrived, 0); });
let idleDraws = true;
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const lineColour = (i) => css(`--c${(i % 8) + 1}`);
export const isDark = () => document.documentElement.dataset.theme === "dark";

// The best run has the most contrast: dark on light, bright on dark.
export function ramp() {
  return isDark() ? [...VIRIDIS].slice(1).reverse() : VIRIDIS.slice(0, 8);
}

export function rampColour(t, colours = ramp()) {
  const at = Math.max(0, Math.min(1, t)) * (colours.length - 1);
  const [i, part] = [Math.floor(at), at % 1];
  if (part === 0) return colours[i];
  const mix = [1, 3, 5].map((k) => {
    const [a, b] = [colours[i], colours[i + 1]].map((c) => parseInt(c.slice(k, k + 2), 16));
    return Math.round(a + (b - a) * part).toString(16).padStart(2, "0");
  });
  return `#${mix.join("")}`;
}

// Whether charts out of sight are drawn when the page is idle, or only when scrolled near: charts of
// thousands of runs would block the visible ones.
export const drawWhenIdle = (on) => { idleDraws = on; };

// Draw one chart at a time, so that the page stays responsive; of those that wait the topmost first.
const queue = [];
let drawing = false;
function inTurn(element, job) {
  queue.push([element, job]);
  if (drawing) return;
  drawing = true;
  const next = () => {
    const tops = queue.map(([one]) => one.getBoundingClientRect().top);
    const [[, first]] = queue.splice(tops.indexOf(Math.min(...tops)), 1);
    try { first(); } finally { if (queue.length) setTimeout(next, 0); else drawing = false; }
  };
  setTimeout(next, 0); // all that come into sight together wait before the first is drawn
}

// A chart that follows its box and the theme. `option` is a function, so that colours are read anew.
export function chart(size, label) {
  const element = h("div.chart", { class: size, role: "img", "aria-label": label });
  let [made, option, events] = [null, null, []];
  const ready = () => {
    if (made || !echarts || !element.isConnected || element.clientWidth === 0) return made;
    made = echarts.init(element, null, { renderer: "canvas" });
    for (const [name, handler] of events) made.on(name, handler);
    return made;
  };
  // Draw a chart once when it comes near, however often it was requested.
  let [near, stale, waiting] = [false, false, 0];
  const draw = (now = near) => {
    stale = true;
    if (!now) { later(); return; }
    if (!option || !ready()) return;
    stale = false;
    made.setOption(tamed(option()), { notMerge: true, lazyUpdate: false });
    wrapped.drawn?.();
  };
  const later = () => {
    clearTimeout(waiting);
    if (!idleDraws) return;
    waiting = setTimeout(() => requestIdleCallback(() => { if (stale && option) draw(true); }), 500);
  };
  const wrapped = {
    element,
    set(next) { option = next; draw(); },
    on(name, handler) { events.push([name, handler]); if (made) made.on(name, handler); },
    act(action) { if (ready()) made.dispatchAction(action); },
    get raw() { return made; },
    draw: () => draw(),
    arrived() { if (stale) comes(); },
    close() { observer.disconnect(); sight.disconnect(); charts.delete(wrapped); made?.dispose(); clearTimeout(waiting); option = null; },
  };
  const observer = new ResizeObserver(() => { if (made) { made.resize(); wrapped.drawn?.(); } else if (stale) draw(); });
  observer.observe(element);
  const comes = () => { if (near) inTurn(element, () => { if (near && stale) draw(); }); else later(); };
  const sight = new IntersectionObserver((entries) => { near = entries[entries.length - 1].isIntersecting; if (near && stale) comes(); }, { rootMargin: "100px 0px" });
  sight.observe(element);
  charts.add(wrapped);
  return wrapped;
}

document.addEventListener("themechange", () => { for (const one of charts) one.draw(); });

export function base(more = {}) {
  return {
    animation: false, textStyle: { fontFamily: "inherit", color: css("--text") },
    grid: { left: 8, right: 16, top: 14, bottom: 26, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: tooltip(), ...more,
  };
}

export function tooltip(more = {}) {
  return {
    confine: true, backgroundColor: css("--panel"), borderColor: css("--line"), borderWidth: 1, padding: [6, 10],
    textStyle: { color: css("--text"), fontSize: 12 }, extraCssText: "box-shadow: 0 3px 12px rgb(0 0 0 / 20%);", ...more,
  };
}

export function tip(title, pairs, last) {
  return h("div.tip", {}, h("b", {}, title), h("dl", {}, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), last && h("div.dim", {}, last));
}

export function axis(name, more = {}) {
  const { type = "value", ...rest } = more;
  return {
    type, name: cut(plainly(String(name ?? "")), 60), nameLocation: "middle", nameGap: 28, scale: true,
    nameTextStyle: { color: css("--dim"), fontSize: 11 }, axisLine: { lineStyle: { color: css("--line") } },
    axisTick: { show: false }, minorTick: { show: false }, splitLine: { lineStyle: { color: css("--grid") } },
    axisLabel: { color: css("--dim"), fontSize: 11, hideOverlap: true, formatter: type === "category" ? (v) => cut(String(v), 14) : (v) => short(v, 3) },
    ...rest,
  };
}

// A logarithmic axis that ends near its data, with labels at 1, 2 and 5 where there is room.
export function logAxis(name, low, high, more = {}) {
  if (!(low > 0) || !(high > 0)) return axis(name, more);
  const step = (v, round) => { const unit = 10 ** Math.floor(Math.log10(v) + 1e-9); return Number((round(v / unit - (round === Math.ceil ? 1e-9 : -1e-9)) * unit).toPrecision(3)); };
  const [min, max] = [step(low, Math.floor), step(high, Math.ceil)];
  const decades = Math.log10(max / min);
  const heads = decades > 5 ? [1] : decades > 2.5 ? [1, 3] : [1, 2, 5];
  const customValues = [];
  for (let k = Math.floor(Math.log10(min)); k <= Math.ceil(Math.log10(max)); k += 1) for (const head of heads) { const v = Number((head * 10 ** k).toPrecision(3)); if (v >= min * 0.999 && v <= max * 1.001) customValues.push(v); }
  const made = axis(name, { type: "log", min, max, ...more });
  return customValues.length < 2 ? made : { ...made, axisLabel: { ...made.axisLabel, customValues }, axisTick: { show: false, customValues } };
}

// Show a message in place of an empty chart.
export const nothing = (words) => ({ animation: false, title: { text: words, left: "center", top: "middle", textStyle: { color: css("--dim"), fontSize: 13, fontWeight: 400, fontFamily: "inherit" } } });

export const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : tame(text));

// ECharts caches measured texts in plain objects by their words: a parameter named __proto__
// would write into every object of the page.
const tame = (text) => (typeof text === "string" && text in Object.prototype ? `\u200b${text}` : text);
const asList = (one) => (one === undefined ? [] : Array.isArray(one) ? one : [one]);
function tamed(option) {
  for (const part of [option.xAxis, option.yAxis, option.parallelAxis, option.series].flatMap(asList)) {
    if (part.name !== undefined) part.name = tame(part.name);
    if (part.type === "category") part.data = part.data.map(tame);
  }
  return option;
}
