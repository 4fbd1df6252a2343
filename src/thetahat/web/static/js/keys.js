// Brushing an axis with the keyboard: arrow keys move the ends of the range.
import { h } from "./dom.js";
import { short } from "./format.js";
import { categories } from "./model.js";

const STEPS = 40;
const PAGE = 5;
const WAIT_MS = 150;
const [WIDE, TOP, BOTTOM] = [26, 34, 16];
const HINT = "parallel-keys";

// The ends of an axis, its steps, and the words for a range. A brush of categories holds their indices.
function scale(column, option, model) {
  if (option.type === "category") {
    const words = categories(model.byName.get(column.slice(2)));
    const said = (a, b) => words.slice(a, b + 1).slice(0, 6).join(", ") + (b - a > 5 ? ", …" : "");
    return { steps: words.length - 1, least: 0, at: (k) => k, step: (v) => v, said: (a, b) => said(Math.round(a), Math.round(b)) };
  }
  const { min, max } = option;
  const [to, from] = option.type === "log" ? [Math.log, Math.exp] : [(v) => v, (v) => v];
  // The ends are exactly those of the data: a rounded end would exclude the last run.
  const at = (k) => (k <= 0 ? min : k >= STEPS ? max : Number(from(to(min) + ((to(max) - to(min)) * k) / STEPS).toPrecision(4)));
  const step = (v) => Math.round(((to(v) - to(min)) / (to(max) - to(min))) * STEPS);
  return { steps: STEPS, least: 1, at, step, said: (a, b) => `${short(a, 3)} to ${short(b, 3)}` };
}

// The elements that take the keys, one for each axis, beside the chart: screen readers do not see inside a canvas.
export class AxisKeys {
  constructor(state, apply) {
    Object.assign(this, { state, apply, axes: [], waiting: 0, current: 0 });
    this.group = h("div.axis-keys", { role: "group", "aria-label": "Ranges of the axes" });
    this.hint = h("p.note.keys", { id: HINT }, ...["←", "→", " axis · ", "↑", "↓", " upper end · ", "Shift", "↑", "↓", " lower end · ", "Page up", "Page down", " larger steps · ", "Delete", " lets go"].map((word) => (word.startsWith(" ") ? word : h("kbd", {}, word))));
    this.group.addEventListener("keydown", (event) => this.key(event));
    this.group.addEventListener("focusin", (event) => this.take(this.axes.findIndex((one) => one.element === event.target)));
  }

  // Beside the drawn axes; elements that remain keep the focus.
  place(options, at, high) {
    const known = new Map(this.axes.map((one) => [one.column, one]));
    this.axes = options.map((option, k) => {
      const column = option.id;
      const element = known.get(column)?.element || h("div.axis-key", { role: "slider", "aria-orientation": "vertical", "aria-describedby": HINT, "aria-label": `range of ${column.slice(2)}` });
      Object.assign(element.style, { left: `${at[k] - WIDE / 2}px`, width: `${WIDE}px`, top: `${TOP - 6}px`, height: `${high - TOP - BOTTOM + 12}px` });
      known.delete(column);
      return { column, element, scale: scale(column, option, this.state.model) };
    });
    for (const { element } of known.values()) element.remove();
    this.axes.forEach(({ element }, k) => { if (this.group.children[k] !== element) this.group.insertBefore(element, this.group.children[k] || null); });
    this.take(Math.min(this.current, this.axes.length - 1));
    this.say();
  }

  take(k) {
    if (k < 0) return;
    this.current = k;
    this.axes.forEach(({ element }, i) => element.setAttribute("tabindex", i === k ? "0" : "-1"));
  }

  // Several ranges on one axis, which a mouse can draw, become one from the first to the last.
  range({ column, scale: { steps, at } }) {
    const spans = this.state.brushes[column] || [];
    return spans.length ? [Math.min(...spans.map((s) => s[0])), Math.max(...spans.map((s) => s[1]))] : [at(0), at(steps)];
  }

  say() {
    for (const one of this.axes) {
      const { steps, at, said } = one.scale;
      const [low, high] = this.range(one);
      const words = { min: at(0), max: at(steps), now: high, text: this.state.brushes[one.column]?.length ? said(low, high) : "all" };
      for (const [name, value] of Object.entries(words)) one.element.setAttribute(`aria-value${name}`, String(value));
    }
  }

  key(event) {
    const one = this.axes[this.current];
    if (!one || event.ctrlKey || event.altKey || event.metaKey) return;
    const over = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const move = { ArrowUp: 1, ArrowDown: -1, PageUp: PAGE, PageDown: -PAGE }[event.key];
    if (over) this.axes[Math.max(0, Math.min(this.axes.length - 1, this.current + over))].element.focus();
    else if (move) this.move(one, move, event.shiftKey);
    else if (["Delete", "Backspace", "Escape"].includes(event.key)) this.set(one, []);
    else return;
    event.preventDefault();
  }

  // One end moves to the next step; the other stays exactly where it is.
  move(one, by, lower) {
    const { steps, least, at, step } = one.scale;
    let [low, high] = this.range(one);
    const [a, b] = [step(low), step(high)];
    if (lower) low = at(Math.max(0, Math.min(b - least, a + by))); else high = at(Math.min(steps, Math.max(a + least, b + by)));
    this.set(one, low <= at(0) && high >= at(steps) ? [] : [[low, high]]);
  }

  // The range moves at once; the runs follow when no key is pressed.
  set({ column }, spans) {
    if (!spans.length && !this.state.brushes[column]?.length) return;
    this.state.brushes[column] = spans;
    this.say();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.apply.rest(), WAIT_MS);
    this.apply.now();
  }

  close() { clearTimeout(this.waiting); }
}
