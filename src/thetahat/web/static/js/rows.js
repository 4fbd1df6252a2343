// The table of a sweep of very many runs: the server filters and sorts, only rows in sight are elements.
import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { readRuns } from "./model.js";
import { cell, columnsOf, numeric, ROW, tableHeight, title, widthOf } from "./table.js";

const PAGE = 100;
const BUFFER = 8;
const SELECTOR = 38;
// Browsers limit the height of an element.
const MOST_HEIGHT = 12_000_000;

export class RowsTable {
  // on: sorted(sort), selected(ids), counted({ n, lost } or error)
  constructor(box, state, on) {
    Object.assign(this, { box, state, on, n: 0, pages: new Map(), asked: new Set(), drawn: new Map(), chosen: new Map(), turn: 0 });
    this.columns = state.columns.length ? state.columns : columnsOf(state).shown;
    this.widths = this.columns.map((column) => widthOf(column, state));
    this.wide = SELECTOR + this.widths.reduce((a, b) => a + b, 0);
    this.head = h("div.rows-head", { role: "rowgroup" });
    this.space = h("div.rows-space", { role: "rowgroup" });
    this.view = h("div.rows", { role: "table", tabindex: "0", "aria-label": "runs", "aria-colcount": this.columns.length + 1, style: { height: `${tableHeight(state.model.sampled.of)}px` } }, this.head, this.space);
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    fill(box, this.view);
    this.drawHead();
  }

  close() { this.turn += 1; this.view.remove(); }

  get query() {
    const { state } = this;
    return new URLSearchParams({ where: state.where, brush: JSON.stringify(state.brushQuery()), sort: state.sort, metric: state.metric, goal: state.sign < 0 ? "maximize" : "minimize" });
  }

  // Ask anew: the filter, the order or the store has changed. Old rows stay until the new ones are here.
  async load(top = true) {
    this.turn += 1;
    this.pages = new Map();
    this.asked = new Set();
    if (top) this.view.scrollTop = 0;
    this.drawHead();
    await this.fetch(top ? 0 : Math.floor(this.first() / PAGE));
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.draw();
  }

  async fetch(page) {
    if (this.asked.has(page)) return;
    this.asked.add(page);
    const turn = this.turn;
    const { query } = this;
    query.set("start", page * PAGE);
    query.set("n", PAGE);
    this.view.setAttribute("aria-busy", "true");
    try {
      const answer = await get(`/api/sweeps/${encodeURIComponent(this.state.model.sweep.id)}/rows?${query}`);
      if (turn !== this.turn) return;
      const runs = new Map(readRuns(answer.runs).map((run) => [run.id, run]));
      if (answer.settings) this.state.model.mark([...runs.values()], answer.settings);
      this.pages.set(page, answer.ids.map((id) => runs.get(id)));
      this.n = answer.n;
      this.on.counted(answer);
    } catch (error) {
      if (turn !== this.turn) return;
      this.asked.delete(page);
      this.on.counted({ n: this.n, error });
    } finally {
      if (turn === this.turn) this.view.removeAttribute("aria-busy");
    }
    if (turn === this.turn) this.draw();
  }

  // Where the rows are: of very many the scroll bar covers more than a pixel for a pixel.
  get height() { return this.n * ROW; }
  get body() { return Math.max(1, this.view.clientHeight - this.head.offsetHeight); }
  get offset() {
    const [high, shown] = [this.height, Math.min(this.height, MOST_HEIGHT)];
    return high === shown ? this.view.scrollTop : (this.view.scrollTop * (high - this.body)) / Math.max(1, shown - this.body);
  }
  first() { return Math.max(0, Math.floor(this.offset / ROW)); }

  draw() {
    this.space.style.height = `${Math.min(this.height, MOST_HEIGHT)}px`;
    this.space.style.width = this.head.style.width = `${this.wide}px`;
    this.view.setAttribute("aria-rowcount", this.n + 1);
    const [from, to] = [Math.max(0, this.first() - BUFFER), Math.min(this.n, this.first() + Math.ceil(this.body / ROW) + BUFFER)];
    const shift = this.view.scrollTop - this.offset;
    for (const [i, element] of this.drawn) {
      // A row with the focus stays: the keyboard would lose its place.
      if ((i < from || i >= to) && !element.contains(document.activeElement)) { element.remove(); this.drawn.delete(i); } else element.style.transform = `translateY(${i * ROW + shift}px)`;
    }
    const missing = new Set();
    for (let i = from; i < to; i += 1) {
      const run = this.pages.get(Math.floor(i / PAGE))?.[i % PAGE];
      if (!run) missing.add(Math.floor(i / PAGE));
      const known = this.drawn.get(i);
      if (known && (!run || known.dataset.id === run.id)) continue;
      known?.remove();
      const element = run ? this.row(run, i) : h("div.row.waiting", { role: "row", "aria-rowindex": i + 2 }, h("span", { role: "cell" }, "…"));
      element.style.transform = `translateY(${i * ROW + shift}px)`;
      this.drawn.set(i, element);
      // In the order of the rows, so that Tab and a screen reader meet them so.
      const after = [...this.drawn.keys()].filter((k) => k > i).sort((a, b) => a - b)[0];
      this.space.insertBefore(element, after === undefined ? null : this.drawn.get(after));
    }
    if (!this.n) fill(this.space, h("p.empty", { role: "row" }, h("span", { role: "cell" }, "No run passes the filter."))); else this.space.querySelector("p.empty")?.remove();
    clearTimeout(this.waiting);
    // While the bar is dragged, rows that pass by are not read.
    if (missing.size) this.waiting = setTimeout(() => { for (const page of missing) this.fetch(page); }, 60);
  }

  row(run, i) {
    const { state } = this;
    const box = h("input", { type: "checkbox", checked: this.chosen.has(run.id), "aria-label": `select ${run.name}` });
    const made = h("div.row", { role: "row", "aria-rowindex": i + 2, "data-id": run.id, class: this.chosen.has(run.id) ? "chosen" : "" }, h("span.pick", { role: "cell" }, box),
      this.columns.map((column, k) => h("span", { role: "cell", class: `${numeric(column, state) ? "num" : ""} ${column === "name" ? "frozen" : ""}`, style: { width: `${this.widths[k]}px` } }, cell(run, column, state))));
    box.addEventListener("change", () => {
      if (box.checked) this.chosen.set(run.id, run); else this.chosen.delete(run.id);
      made.classList.toggle("chosen", box.checked);
      this.on.selected([...this.chosen.keys()]);
    });
    return made;
  }

  drawHead() {
    const { state } = this;
    const sorted = state.sort.replace(/^-/, "");
    const next = (column) => (sorted !== column ? column : state.sort.startsWith("-") ? "" : `-${column}`);
    const focus = document.activeElement?.dataset.sort;
    fill(this.head, h("div.row", { role: "row", "aria-rowindex": "1" }, h("span.pick", { role: "columnheader" }, h("span.hidden-text", {}, "select")),
      this.columns.map((column, k) => h("span", { role: "columnheader", class: `${numeric(column, state) ? "num" : ""} ${column === "name" ? "frozen" : ""}`, style: { width: `${this.widths[k]}px` }, "aria-sort": sorted !== column ? null : state.sort.startsWith("-") ? "descending" : "ascending" },
        h("button", { type: "button", "data-sort": column, title: `Sort by ${title(column, state.model)}`, onclick: () => { this.on.sorted(next(column)); this.load(); } }, title(column, state.model), h("i", { "aria-hidden": "true" }, sorted !== column ? "" : state.sort.startsWith("-") ? " ↓" : " ↑"))))));
    if (focus) this.head.querySelector(`[data-sort="${CSS.escape(focus)}"]`)?.focus();
  }
}

export const rowsNote = ({ drawn, of }) => `Charts draw ${drawn.toLocaleString("en")} of ${of.toLocaleString("en")} runs: a sample drawn by lot, and every run that was the best so far. Counts, the best and the table rest on all runs.`;
