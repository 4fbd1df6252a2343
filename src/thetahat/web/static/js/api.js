// Requests to the server, and the view, which the address keeps.
export class ApiError extends Error {
  constructor(message, code) { super(message); this.code = code; }
}

async function answered(response) {
  let body;
  try { body = await response.json(); } catch { body = {}; }
  if (!response.ok) throw new ApiError(body.error || `the server answered ${response.status}`, response.status);
  return body;
}

async function request(path, options) {
  let response;
  const early = window.thetahatEarly;
  if (!options && early?.path === path) {
    delete window.thetahatEarly;
    try { return await early.answer; } catch { /* asked again below */ }
  }
  try { response = await fetch(window.thetahatRoot + path, options); } catch { throw new ApiError("the server does not answer: has `thetahat ui` been ended?", 0); }
  return response;
}

export const get = async (path) => answered(await request(path));
export const post = async (path) => answered(await request(path, { method: "POST" }));

export async function download(path, asked) {
  const response = await request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(asked) });
  if (!response.ok) return answered(response);
  return response.text();
}

// What a page is of: behind a proxy each project has a path of its own.
export const site = [window.thetahatRoot.split("/").pop(), "thetahat"].filter(Boolean).join(" · ");

// The view: words in the address; an empty word is removed.
export const view = {
  get(name, otherwise = "") { return new URLSearchParams(location.search).get(name) ?? otherwise; },
  set(changes) {
    const words = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "" || value === false) words.delete(name);
      else words.set(name, value === true ? "1" : String(value));
    }
    const text = words.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  },
};

// Call back when the store has changed: never concurrently, and less often if drawing is slow.
// A browser allows six connections to a server, of all its tabs together: a hidden one lets its go.
export function follow(onchange, live, banner) {
  let [source, busy, again, ended] = [null, false, false, false];
  let [retry, grace, wait, lost] = [0, 0, 1000, false];
  async function run(pulse) {
    if (busy) { again = pulse; return; }
    busy = true;
    const began = performance.now();
    try { await onchange(pulse); banner(null); } catch (error) { banner(error.message || String(error)); }
    const took = performance.now() - began;
    setTimeout(() => { busy = false; if (again) { const next = again; again = false; run(next); } }, Math.max(150, 4 * took));
  }
  function here() {
    clearTimeout(grace);
    [grace, wait] = [0, 1000];
    if (lost) banner(null);
    lost = false;
    live(true);
  }
  async function gone() {
    live(false);
    // A server that restarts is back in a moment.
    grace ||= setTimeout(() => { lost = true; banner("The server does not answer. This is what it said last; the page tries again by itself."); }, 3000);
    if (source.readyState !== EventSource.CLOSED) return;
    // A browser gives up if something else answers: a proxy, or a server whose token is another one.
    source.close();
    const answer = await fetch(`${window.thetahatRoot}/api/alive`).catch(() => null);
    if (answer?.status === 401) {
      clearTimeout(grace);
      banner("The server was started anew, with new tokens: open the address that `thetahat ui` printed.");
      wait = 15000;
    }
    if (ended || document.hidden) return;
    clearTimeout(retry);
    retry = setTimeout(open, wait);
    wait = Math.min(2 * wait, 15000);
  }
  function open() {
    source = new EventSource(`${window.thetahatRoot}/api/events`);
    source.addEventListener("change", (event) => { here(); run(JSON.parse(event.data)); });
    source.addEventListener("gone", (event) => { here(); banner(JSON.parse(event.data).error); });
    source.onerror = gone;
  }
  function shut() {
    clearTimeout(retry);
    clearTimeout(grace);
    grace = 0;
    source.close();
  }
  function seen() {
    clearTimeout(retry);
    if (document.hidden) retry = setTimeout(shut, 3000);
    else if (source.readyState === EventSource.CLOSED) open();
  }
  document.addEventListener("visibilitychange", seen);
  open();
  return () => { ended = true; document.removeEventListener("visibilitychange", seen); shut(); };
}
