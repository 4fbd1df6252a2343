// Elements from plain values. Text is always a text node: data is never parsed as HTML.
import { plainly } from "./format.js";

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);

export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name || "div");
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else if (key === "class") made.className += ` ${value}`;
    else if (key === "href" || key === "src") made.setAttribute(key, placed(safeLink(value)));
    else if (PROPERTIES.has(key)) made[key] = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  append(made, children);
  return made;
}

function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(plainly(String(child))));
  }
}

// Accept our own links only: a javascript: link would run.
function safeLink(to) {
  return /^(\/(?!\/)|\?|#)/.test(to) ? to : "#";
}

// An address of ours where the page is served.
const placed = (to) => (to.startsWith("/") ? window.thetahatRoot + to : to);
export const go = (to) => { location.href = placed(to); };

export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
  return parent;
}

// Like fill, but what is the same stays in place: a press, a focus and a scroll outlive the update.
export function patch(parent, ...children) {
  morph(parent, [...h("div", {}, ...children).childNodes]);
  return parent;
}

// Controls listen: they stay if they are the same, else they are replaced; the rest is changed.
const CONTROLS = new Set(["BUTTON", "INPUT", "SELECT", "DETAILS"]);

function morph(parent, fresh) {
  const old = [...parent.childNodes];
  fresh.forEach((node, i) => {
    const was = old[i];
    if (!was) parent.append(node);
    else if (was.isEqualNode(node)) return;
    else if (was.nodeType !== 1 || was.nodeName !== node.nodeName || (CONTROLS.has(was.nodeName) && !was.dataset.project)) was.replaceWith(node);
    else {
      for (const name of was.getAttributeNames()) if (!node.hasAttribute(name)) was.removeAttribute(name);
      for (const name of node.getAttributeNames()) {
        if (was.getAttribute(name) === node.getAttribute(name)) continue;
        // The policy of the page forbids a style as an attribute.
        if (name === "style") was.style.cssText = node.style.cssText; else was.setAttribute(name, node.getAttribute(name));
      }
      morph(was, [...node.childNodes]);
    }
  });
  for (const gone of old.slice(fresh.length)) gone.remove();
}

export const runLink = (run, text) => h("a", { href: `/run/${encodeURIComponent(run.id)}` }, text ?? run.name);
export const sweepLink = (id, text) => h("a", { href: `/sweep/${encodeURIComponent(id)}` }, text);

const MEANING = {
  queued: "waits for an agent", running: "is being run", finished: "all epochs done",
  stopped: "ended early, as asked", diverged: "its risk was no number any more", unmoved: "its parameters did not change", rejected: "a check of its solution failed",
  interrupted: "can be resumed", failed: "broke", paused: "begins no new runs", cancelled: "ended by hand",
};
export const status = (word, why) => h(`span.st.${/^[a-z]+$/.test(word) ? word : "queued"}`, { title: why || MEANING[word] }, word);
export const flag = (text, title, kind = "") => h("span.flag", { title, class: kind }, text);

export function panel(title, size, tools = [], attributes = {}) {
  const body = h("div.body");
  const note = h("p.note", { hidden: true });
  const root = h("section.panel", { class: size, "aria-label": title, ...attributes },
    h("header", {}, h("h2", {}, title), h("span.spacer"), h("div.tools", {}, tools)), body, note);
  return { root, body, say(...words) { note.hidden = words.length === 0; fill(note, ...words); }, add(words) { note.hidden = false; note.append(words); } };
}

export function select(label, options, value, onchange, attributes = {}) {
  const box = h("select", { "aria-label": label, onchange: (event) => onchange(event.target.value), ...attributes });
  fillSelect(box, options, value);
  return box;
}

export function fillSelect(box, options, value) {
  fill(box, options.map((o) => {
    const [key, text] = Array.isArray(o) ? o : [o, o];
    const shown = String(text);
    return h("option", { value: key, selected: key === value }, shown.length > 60 ? `${shown.slice(0, 59)}…` : shown);
  }));
}

export function toggle(label, pressed, onchange, title) {
  const button = h("button", { type: "button", "aria-pressed": String(Boolean(pressed)), title }, label);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    onchange(now);
  });
  return button;
}

export function command(text) {
  const button = h("button.quiet", { type: "button", title: "Copy" }, "copy");
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "copied"; } catch { button.textContent = "select it by hand"; }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  return h("div.command", {}, h("code", {}, text), button);
}

export function ask(question, detail, yes) {
  return new Promise((resolve) => {
    const done = (answer) => { box.close(); box.remove(); resolve(answer); };
    const box = h("dialog", { "aria-label": question, oncancel: () => done(false) },
      h("h2", {}, question), h("p.dim", {}, detail),
      h("div.tools", {}, h("button", { type: "button", onclick: () => done(false) }, "Back"),
        h("button.danger", { type: "button", onclick: () => done(true) }, yes)));
    document.body.append(box);
    box.showModal();
  });
}

export function tell(title, detail) {
  return new Promise((resolve) => {
    const done = () => { box.close(); box.remove(); resolve(); };
    const box = h("dialog", { "aria-label": title, oncancel: done }, h("h2", {}, title), h("p.dim", {}, detail), h("div.tools", {}, h("button", { type: "button", onclick: done }, "Close")));
    document.body.append(box);
    box.showModal();
  });
}

export function save(text, name, kind) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name.replace(/[^\w.-]+/g, "_").slice(0, 80);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 5000);
}
