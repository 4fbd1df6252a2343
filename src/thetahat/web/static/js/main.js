// The choice of the page, the line at the top, and the banner for a missing store.
import { follow, site, view } from "./api.js";
import { fill, h } from "./dom.js";

const PAGES = [
  [/^\/$/, () => import("./home.js")],
  [/^\/sweep\/([^/]+)$/, () => import("./sweep.js")],
  [/^\/run\/([^/]+)$/, () => import("./run.js")],
  [/^\/compare$/, () => import("./compare.js")],
];
const main = document.getElementById("main");
const live = document.getElementById("live");
const banner = document.getElementById("banner");

export function crumbs(...parts) {
  fill(document.getElementById("crumbs"), parts.filter(Boolean).map((part) => [h("span", { "aria-hidden": "true" }, "/"), part]));
}

function setLive(on) {
  live.classList.toggle("off", !on);
  live.textContent = on ? "live" : "not connected";
}

function setBanner(words) {
  banner.hidden = !words;
  fill(banner, words || "");
}

function themeButton() {
  const button = document.getElementById("theme");
  const said = () => { button.textContent = { light: "☀ light", dark: "☾ dark" }[window.thetahatTheme.chosen()] || "◑ auto"; };
  button.addEventListener("click", () => { window.thetahatTheme.next(); said(); });
  said();
}

// Esc and a click beside it close an open menu.
function menus() {
  const close = (all) => { for (const menu of document.querySelectorAll("details.menu[open]")) if (all(menu)) { menu.open = false; return menu; } return null; };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close((menu) => menu.contains(document.activeElement) || true)?.querySelector("summary").focus(); });
  document.addEventListener("pointerdown", (event) => { close((menu) => !menu.contains(event.target)); });
}

// Whose page it is, and what one may do there.
function about() {
  document.querySelector(".brand span").textContent = site;
  if (document.documentElement.dataset.reads !== undefined) live.before(h("span.dim.small", { title: "your token only reads: it cannot pause, resume or cancel" }, "read only"));
}

async function start() {
  about();
  themeButton();
  menus();
  for (const [pattern, load] of PAGES) {
    const match = pattern.exec(location.pathname.slice(window.thetahatRoot.length) || "/");
    if (!match) continue;
    const page = await load();
    let shown = null;
    const show = async (pulse) => {
      if (shown) { await shown.changed(pulse); return; }
      try {
        shown = await page.show(main, decodeURIComponent(match[1] || ""), { crumbs, view });
        main.setAttribute("aria-busy", "false");
      } catch (error) {
        fill(main, h("div.empty", {}, h("h1", {}, error.code === 404 ? "Not here" : "Nothing to show yet"), h("p", {}, error.message || String(error)),
          h("p", {}, h("a", { href: "/" }, "All sweeps and runs")), h("p.dim", {}, "This page tries again by itself.")));
        main.setAttribute("aria-busy", "false");
        // Errors of the page itself must be visible to its developers.
        if (error.code === undefined) { console.error(error); throw error; }
      }
    };
    await show(null);
    const close = follow(show, setLive, setBanner);
    addEventListener("pagehide", close, { once: true });
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
    return;
  }
  fill(main, h("div.empty", {}, h("h1", {}, "Not here"), h("p", {}, h("a", { href: "/" }, "All sweeps and runs"))));
}

start();
