// The table of runs: Tabulator, with cells and titles that are elements of text nodes.
import { flag, fill, h, runLink, status } from "./dom.js";
import { ago, center, columnStyle, finite, local, short, span } from "./format.js";
import { counts, CUT, FAILED, getter, OPEN, settingFor, value } from "./model.js";

const OWN = {
  name: "name", status: "state", epochs: "epochs", seconds: "time", n_params: "n_params", agent: "agent",
  setting: "setting's median", reason: "reason", attempt: "attempt", created: "begun", number: "#", best_val_risk: "best val_risk", best_epoch: "best epoch", replicate: "replicate",
};
const MOST_PARAMETERS = 12;
let library = null;

// Load Tabulator when a table is needed, or when the page is idle.
export const tableLibrary = () => (library ||= import("../vendor/tabulator/tabulator.esm.min.js").then((read) => read.TabulatorFull, (error) => { library = null; throw error; }));
export const ROW = 28;

// Programs count steps; experiments, which know how many epochs there will be, epochs.
export const title = (column, model) => (column === "epochs" && model?.steps ? "steps" : OWN[column] || column.slice(2));

// Which columns there are, and which are shown unless the address says otherwise.
export function columnsOf(state) {
  const { model } = state;
  const metrics = [state.metric, ...model.metrics.filter((m) => m !== state.metric)].filter(Boolean);
  const parameters = [...model.varying, ...model.parameters.filter((p) => !p.varies)];
  const ranked = model.varying.length > MOST_PARAMETERS && state.ranking.length ? state.ranking.filter((n) => model.byName.get(n)?.varies) : model.varying.map((p) => p.name);
  const narrow = document.documentElement.clientWidth < 640;
  const told = metrics.slice(0, 3).map((m) => `m.${m}`);
  const judged = model.standing?.replicated ? ["setting"] : [];
  if (model.standing) OWN.setting = `setting's ${model.standing.word}`;
  const shown = ["name", ...(narrow ? [...judged, ...told, "status"] : ["status", ...judged, ...told]), ...ranked.slice(0, MOST_PARAMETERS).map((n) => `c.${n}`), "epochs", "seconds", "n_params", "agent", "reason"];
  const all = [...new Set(["name", "status", ...judged, ...metrics.map((m) => `m.${m}`), ...ranked.map((n) => `c.${n}`), ...parameters.map((p) => `c.${p.name}`), "epochs", "seconds", "n_params", "agent", "reason", "attempt", "number", "created", "best_val_risk", "best_epoch", "replicate"])];
  return { all, shown };
}

export function flagsOf(run, state) {
  const marks = [];
  if (run.contaminated) marks.push(flag("contaminated", "tuned on the test set: its test numbers estimate nothing", "bad"));
  if (FAILED.has(run.status)) marks.push(flag(run.status, run.reason || "", "bad"));
  else if (OPEN.has(run.status)) marks.push(flag("so far", "the run is not over: this is its last record"));
  else if (run.status === "interrupted") marks.push(flag("unfinished", run.reason || "it can be resumed"));
  else if (run.status === "cancelled") marks.push(flag("cancelled", run.reason || "it was cut short: its number does not count"));
  else if (run.status === "unmoved") marks.push(flag("unmoved", run.reason || "its parameters did not change"));
  else if (run.status === "stopped" && /^(hyperband|asha):/.test(run.reason || "")) marks.push(flag("stopped early", `at epoch ${run.epochs}: its number is of fewer epochs than others have`, "plain"));
  if (state.model.replicated && state.model.seeds(run) < 2) marks.push(flag("1 seed", "this setting was run with one seed only", "plain"));
  return marks;
}

const styles = new WeakMap();

function style(state, column) {
  let known = styles.get(state.model.runs);
  if (!known) styles.set(state.model.runs, (known = new Map()));
  if (!known.has(column)) known.set(column, columnStyle(state.model.runs.map(getter(column))));
  return known.get(column);
}

// With more digits than the charts' sample needs: the best of very many runs are close together.
const precise = (v) => (Math.abs(v) >= 1e-4 && Math.abs(v) < 1e5 ? v.toPrecision(5) : short(v, 5));

export function cell(run, column, state) {
  const v = value(run, column);
  if (column === "name") return h("span", {}, runLink(run));
  if (column === "status") return status(run.status, run.reason);
  if (column === "seconds") return span(v);
  if (column === "setting") return settingCell(settingFor(run));
  if (column === "created") return h("span", { title: local(v) }, ago(v));
  if (column.startsWith("m.")) {
    const shown = finite(v) ? (state.model.sampled ? precise(v) : style(state, column)(v)) : column.slice(2) in run.metrics ? "not finite" : "";
    const marks = column === `m.${state.metric}` ? flagsOf(run, state) : run.contaminated && /test/.test(column) ? [flag("contaminated", "tuned on the test set", "bad")] : [];
    return h("span", { title: finite(v) ? String(v) : "" }, marks, marks.length ? " " : "", shown);
  }
  const text = finite(v) ? style(state, column)(v) : short(v);
  return h("span", { title: String(v ?? "").slice(0, 2000) }, text.length > 80 ? `${text.slice(0, 79)}…` : text);
}

// A setting's median, or the mean of its folds, and its n.
function settingCell(one) {
  if (!one || center(one) === null) return h("span.dim", {}, one ? `none of ${one.runs}` : "");
  const lost = [one.failed && `${one.failed} failed`, one.unfinished && `${one.unfinished} unfinished`].filter(Boolean).join(", ");
  return h("span", { title: `${one.says}: ${short(one.low)} to ${short(one.high)}, n = ${one.n} of ${one.runs}${lost ? `; ${lost}` : ""}` }, lost && flag(lost, "these runs gave no number", one.failed ? "bad" : ""), " ", short(center(one)), h("span.dim", {}, ` n=${one.n}`));
}

export function numeric(column, state) {
  if (column.startsWith("m.") || column === "setting") return true;
  if (column.startsWith("c.")) return state.model.byName.get(column.slice(2))?.numeric ?? false;
  return ["epochs", "seconds", "n_params", "attempt", "number", "best_val_risk", "best_epoch", "replicate"].includes(column);
}

const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : typeof a === "number" ? -1 : typeof b === "number" ? 1 : String(a).localeCompare(String(b), "en", { numeric: true }));
const lacks = (v) => v === null || v === undefined || v === "" || (typeof v === "number" && !finite(v));

// Widths from a sample of the cells: measuring every one would take longer than all the rest.
function fitted(column, state) {
  const said = style(state, column);
  let most = title(column, state.model).length + 5;
  const every = Math.max(1, Math.floor(state.model.runs.length / 200));
  for (let i = 0; i < state.model.runs.length; i += every) { const v = value(state.model.runs[i], column); most = Math.max(most, Math.min(30, (finite(v) ? said(v) : short(v)).length)); }
  return Math.round(30 + 7.6 * most);
}

export function widthOf(column, state) {
  if (column === "reason") return 260;
  if (column === "name") return document.documentElement.clientWidth < 640 ? 130 : 190;
  if (column === "status") return 100;
  if (column === "setting") return 200;
  // Room for the marks before the number.
  if (column === `m.${state.metric}`) return Math.max(fitted(column, state), state.model.sweep.contaminated || state.model.replicated || state.model.runs.some((run) => FAILED.has(run.status) || OPEN.has(run.status)) ? 190 : 0);
  return fitted(column, state);
}

function definition(column, state) {
  const read = getter(column);
  const right = numeric(column, state);
  return {
    title: title(column, state.model), field: column, frozen: column === "name" && document.documentElement.clientWidth > 640, hozAlign: right ? "right" : "left", headerHozAlign: right ? "right" : "left",
    titleFormatter: () => h("span", { title: title(column, state.model) }, title(column, state.model)), mutator: undefined, accessor: undefined,
    formatter: (one) => cell(one.getData(), column, state), tooltip: false,
    sorter: (a, b, ra, rb, _c, direction) => {
      const [x, y] = [read(ra.getData()), read(rb.getData())];
      if (finite(x) && finite(y)) return x - y;
      // Rows without a number come last in both directions.
      if (lacks(x) || lacks(y)) return (lacks(x) - lacks(y)) * (direction === "asc" ? 1 : -1);
      return compare(x, y);
    },
    minWidth: 64, maxWidth: column === "reason" ? 420 : column === "name" ? 240 : undefined,
    width: widthOf(column, state),
  };
}

export const tableHeight = (n) => Math.min(620, 110 + ROW * Math.max(3, n));

// A table that loads: use `table` once `ready`. A table closed before that never becomes ready.
export function makeTable(box, state, rows, on) {
  const made = { table: null, closed: false, close() { made.closed = true; made.table?.destroy(); } };
  made.ready = new Promise((resolve, reject) => {
    tableLibrary().then((Tabulator) => { if (!made.closed) { made.table = build(Tabulator, box, state, rows, on); made.table.on("tableBuilt", resolve); } }).catch(reject);
  });
  // A grid may hold rows only; every row holds a link, so the keyboard gets there without this.
  made.ready = made.ready.then(() => { for (const holder of box.querySelectorAll(".tabulator-tableholder")) holder.removeAttribute("tabindex"); });
  return made;
}

function build(Tabulator, box, state, rows, on) {
  const { model } = state;
  const shown = state.columns.length ? state.columns : columnsOf(state).shown;
  const [sortColumn, direction] = state.sort ? [state.sort.replace(/^-/, ""), state.sort.startsWith("-") ? "desc" : "asc"] : ["", ""];
  const options = {
    data: rows, index: "id", columns: [selector(), ...shown.map((c) => definition(c, state))], layout: "fitData", rowHeight: ROW, renderVerticalBuffer: 10 * ROW, height: tableHeight(model.runs.length),
    placeholder: () => h("span", {}, "No run passes the filter."), nestedFieldSeparator: false, renderHorizontal: shown.length > 40 ? "virtual" : "basic",
    rowFormatter: undefined, selectableRows: "highlight", columnDefaults: { resizable: "header", vertAlign: "middle" },
    initialSort: sortColumn && shown.includes(sortColumn) ? [{ column: sortColumn, dir: direction }] : [], headerSortElement: headerArrow, headerSortTristate: true,
    ...(state.group ? { groupBy: (row) => short(value(row, `c.${state.group}`)) || "none", groupHeader: (v, n, data) => groupHead(v, n, data, state), groupStartOpen: true } : {}),
  };
  delete options.rowFormatter;
  const table = new Tabulator(box, options);
  box.classList.add("th");
  table.on("dataSorted", (sorters) => on.sorted(sorters.length ? `${sorters[0].dir === "desc" ? "-" : ""}${sorters[0].field}` : ""));
  table.on("rowSelectionChanged", (data) => on.selected(data.map((run) => run.id)));
  box.setAttribute("aria-label", "runs");
  return table;
}

function selector() {
  return { formatter: "rowSelection", titleFormatter: "rowSelection", hozAlign: "center", headerHozAlign: "center", headerSort: false, width: 38, minWidth: 38, resizable: false, field: "_selected",
    titleFormatterParams: { rowRange: "active" }, frozen: document.documentElement.clientWidth > 640 };
}

function headerArrow(_column, direction) {
  return h("span.dim", { "aria-hidden": "true" }, { asc: "↑", desc: "↓" }[direction] || "");
}

function groupHead(word, n, data, state) {
  const values = data.filter(counts).map((run) => run.metrics[state.metric]).filter(finite).sort((a, b) => a - b);
  const [low, high] = [values[(values.length - 1) >> 1], values[values.length >> 1]];
  const lost = [[data.filter((run) => FAILED.has(run.status)).length, "failed"], [data.filter((run) => CUT.has(run.status) || OPEN.has(run.status)).length, "unfinished"]];
  return h("span", {}, `${title(`c.${state.group}`)} = ${word} `, h("span.dim", {}, ` ${n} runs${lost.map(([k, how]) => (k ? `, ${k} ${how}` : "")).join("")}`, values.length ? `, median ${state.metric} of ${values.length}: ${short((low + high) / 2)}` : ""));
}

// For fewer than five runs show the least and the greatest in place of quantiles.
export const FEW = 5;
function quantileCell(m, q, said) {
  if (m.n >= FEW || q === "median" || q === "mean") return said(m[q]);
  if (m.n < 2) return "";
  return q === "q10" ? [h("span.dim", {}, "least "), said(m.q0)] : q === "q90" ? [h("span.dim", {}, "greatest "), said(m.q100)] : "";
}

// Settings over their seeds, as the server has ordered them: median (and the mean of folds), quantiles, failures.
export function settingsTable(box, groups, state, n = groups.length) {
  const sorted = groups;
  const names = [...new Set(sorted.flatMap((g) => Object.keys(g.config)))].filter((n) => new Set(sorted.map((g) => String(g.config[n]))).size > 1).slice(0, 10);
  const byMean = sorted.some((g) => g.metrics[state.metric]?.mean !== undefined);
  const quantiles = [...(byMean ? ["mean"] : []), "median", "q10", "q25", "q75", "q90"];
  const said = columnStyle(sorted.flatMap((g) => quantiles.map((q) => g.metrics[state.metric]?.[q])));
  fill(box, h("div.bounded", { tabindex: "0", role: "group", "aria-label": "settings" }, h("table.plain", {},
    h("thead", {}, h("tr", {}, names.map((n) => h("th", { class: "num" }, n)), ["runs", "n", "failed", "unfinished", ...quantiles].map((n) => h("th.num", {}, n)), h("th", {}, h("span.hidden-text", {}, "more")))),
    h("tbody", {}, sorted.slice(0, 300).map((g) => {
      const m = g.metrics[state.metric];
      const marks = [];
      if (g.contaminated) marks.push(flag("contaminated", "tuned on the test set", "bad"));
      if (m && m.n === 1) marks.push(flag("1 seed", "one run only: no spread is known", "plain"));
      if (m && 2 * m.n < g.runs) marks.push(flag("few ended", "fewer than half of its runs ended well: it is judged last", "bad"));
      return h("tr", {}, names.map((n) => h("td.num", {}, short(g.config[n]))), h("td.num", {}, g.runs), h("td.num", {}, m?.n ?? 0), h("td.num", {}, g.failed), h("td.num", {}, g.unfinished),
        quantiles.map((q) => h("td.num", {}, m ? quantileCell(m, q, said) : "")), h("td", {}, marks, " ", h("a", { href: `/compare?runs=${g.ids.slice(0, 60).map(encodeURIComponent).join(",")}&bands=1` }, "curves")));
    })))), n > 300 && h("p.note", {}, `The best 300 of ${n.toLocaleString("en")} settings.`));
}
