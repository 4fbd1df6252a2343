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
export function follow(onchange, live, banner) {
  const source = new EventSource(`${window.thetahatRoot}/api/events`);
  let [busy, again] = [false, false];
  async function run(pulse) {
    if (busy) { again = pulse; return; }
    busy = true;
    const began = performance.now();
    try { await onchange(pulse); banner(null); } catch (error) { banner(error.message || String(error)); }
    const took = performance.now() - began;
    setTimeout(() => { busy = false; if (again) { const next = again; again = false; run(next); } }, Math.max(150, 4 * took));
  }
  source.addEventListener("change", (event) => {
    live(true);
    run(JSON.parse(event.data));
  });
  source.addEventListener("gone", (event) => { live(true); banner(JSON.parse(event.data).error); });
  source.onerror = () => live(false);
  return () => source.close();
}
