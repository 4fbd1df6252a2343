// Home: projects, sweeps, runs outside sweeps, live agents, and failures.
import { get, site, view } from "./api.js";
import { command, fill, flag, h, panel, patch, runLink, status, sweepLink } from "./dom.js";
import { ago, brief, finite, local, many, short, span } from "./format.js";
import { countSteps, CUT, FAILED, kindOf, OPEN, readRuns, sum } from "./model.js";

const MOST = 100;
const MOST_CHIPS = 12;

export async function show(main, _id, { crumbs }) {
  crumbs();
  document.title = site;
  const search = h("input", { type: "search", placeholder: "find a sweep or a run", "aria-label": "Find a sweep or a run", value: view.get("find"), size: 26 });
  const [head, body] = [h("div.head", {}, h("h1", {}, "Sweeps and runs"), h("span.spacer"), search), h("div")];
  fill(main, head, body);
  let answer = null;
  const draw = () => { patch(body, page(answer, search.value.trim().toLowerCase(), view.get("project"))); };
  search.addEventListener("input", () => { view.set({ find: search.value }); draw(); });
  const load = async () => { answer = await get("/api/home"); draw(); };
  body.addEventListener("click", (event) => { const to = event.target.closest("[data-project]"); if (to) { view.set({ project: to.dataset.project === view.get("project") ? null : to.dataset.project }); draw(); } });
  await load();
  return { changed: load };
}

function page(answer, find, project) {
  const all = readRuns(answer.loose).reverse();
  const fits = (words, of) => (!find || words.some((w) => String(w ?? "").toLowerCase().includes(find))) && (!project || (of || "no project") === project);
  const sweeps = answer.sweeps.filter((s) => fits([s.name, s.id, s.project, s.metric], s.project));
  const runs = all.filter((r) => fits([r.name, r.id, r.experiment, r.project, r.reason], r.project));
  if (!answer.sweeps.length && !all.length) return welcome();
  const n = answer.counts;
  const total = Object.values(n).reduce((a, b) => a + b, 0);
  const [bad, cut] = [sum(n, FAILED), sum(n, CUT)];
  const alive = answer.agents.filter((a) => a.alive);
  const tile = (name, ...words) => h("div.tile", {}, h("dt", {}, name), h("dd", {}, words));
  return [
    h("dl.tiles", {}, tile("sweeps", answer.sweeps.length, h("small", {}, ` ${answer.sweeps.filter((s) => s.state === "running").length} open`)), tile("runs", total.toLocaleString("en")), tile("running now", n.running || 0), tile("agents at work", alive.length),
      tile("failed", bad || "none", bad ? h("small", {}, ` of ${total.toLocaleString("en")}`) : "", cut ? h("small", { title: "interrupted, cancelled, or nothing moved" }, `${bad ? "; " : " "}${cut} not finished`) : "")),
    projects(answer, all, project),
    h("div.grid", {}, sweepsPanel(sweeps), runsPanel(runs, answer), agentsPanel(answer), failuresPanel(answer.failures.filter((f) => !project || answer.sweeps.some((s) => s.id === f.sweep_id && (s.project || "no project") === project))))];
}

function welcome() {
  return h("section.panel", {}, h("div.body", {}, h("div.empty", {}, h("h2", {}, "No runs yet"), h("p", {}, "Run an experiment, or make a sweep; they appear here by themselves."), command(`thetahat demo${window.thetahatStore}`), command(`thetahat sweep sweep.yaml --run${window.thetahatStore}`))));
}

function projects(answer, runs, chosen) {
  const found = new Map();
  for (const one of [...answer.sweeps, ...runs]) { const name = one.project || "no project"; found.set(name, (found.get(name) || 0) + 1); }
  if (found.size < 2) return null;
  return h("div.tools", { role: "group", "aria-label": "projects", style: { marginBottom: "10px" } }, h("span.dim.small", {}, "project"), [...found].sort((a, b) => b[1] - a[1]).filter(([name], i) => i < MOST_CHIPS || name === chosen).map(([name, n]) => h("button", { type: "button", title: name, "data-project": name, "aria-pressed": String(name === chosen) }, `${brief(name)} `, h("span.dim", {}, n))), found.size > MOST_CHIPS && h("span.dim.small", {}, `and ${found.size - MOST_CHIPS} more: find them by name`));
}

function bar(s) {
  const c = s.counts;
  const [bad, cut] = [sum(c, FAILED), sum(c, CUT)];
  const begun = Object.values(c).reduce((a, b) => a + b, 0);
  const over = begun - (c.queued || 0) - (c.running || 0);
  const total = s.points ?? s.plan?.count ?? begun;
  const part = (n) => ({ width: `${total ? Math.min(100, (100 * n) / total) : 0}%` });
  return [h("div.progress", { role: "img", "aria-label": `${over} of ${total}` }, h("span.done", { style: part(over - bad - cut) }), h("span.fail", { style: part(bad + cut) }), h("span.now", { style: part(c.running || 0) })),
    h("span.dim.small", {}, `${over.toLocaleString("en")}${s.points || s.plan?.count ? ` of ${total.toLocaleString("en")}` : ""}${c.running ? `, ${c.running} running` : ""}${bad ? `, ${bad} failed` : ""}${cut ? `, ${cut} not finished` : ""}`)];
}

const table = (heads, rows, label) => h("div.scroll", { tabindex: "0", role: "group", "aria-label": label }, h("table.plain", {}, h("thead", {}, h("tr", {}, heads.map(([w, c]) => h("th", { class: c || "" }, w)))), h("tbody", {}, rows)));

function sweepsPanel(sweeps) {
  const made = panel("Sweeps", "");
  const rows = sweeps.slice(0, MOST).map((s) => h("tr", {}, h("td.word", {}, sweepLink(s.id, s.name)), h("td.wide", {}, s.project || ""), h("td", {}, status(s.state, s.reason)), h("td", {}, bar(s)),
    h("td.wide", {}, s.metric || h("span.dim", {}, "none")), h("td.num", { title: s.best?.replicated ? `the best setting: ${s.best.says} ${short(s.best.low)} to ${short(s.best.high)}, n = ${s.best.n} of ${s.best.runs}` : "" }, s.best ? short(s.best.value, 5) : "", s.best?.replicated && h("span.dim.small", {}, ` ${s.best.word} of ${s.best.n}`), s.best?.failed > 0 && flag(`${s.best.failed} failed`, "of the runs of the best setting", "bad"), s.best?.unfinished > 0 && flag(`${s.best.unfinished} unfinished`, "of the runs of the best setting"), s.best && s.contaminated && flag("contaminated", "it tunes on the test set: no estimate of the risk", "bad"), s.best && !s.seeded && (s.plan?.replicates || 1) < 2 && flag("1 seed", "each setting was run with one seed", "plain")),
    h("td.wide", {}, s.method), h("td", { title: local(s.created) }, ago(s.created))));
  made.body.append(sweeps.length ? table([["sweep"], ["project", "wide"], ["state"], ["runs over"], ["metric", "wide"], ["best", "num"], ["method", "wide"], ["begun"]], rows, "sweeps") : h("div.empty", {}, "No sweep."));
  if (sweeps.length > MOST) made.say(`The latest ${MOST} of ${sweeps.length}; find others by name.`);
  return made.root;
}

function runsPanel(runs, answer) {
  if (!answer.loose_total) return null;
  const made = panel("Runs of no sweep", "");
  const names = [...new Set(runs.flatMap((r) => Object.keys(r.metrics).filter((m) => finite(r.metrics[m]))))];
  const metrics = ["val_risk", "test_risk", "train_risk", ...names].filter((m, i, list) => names.includes(m) && list.indexOf(m) === i).slice(0, 3);
  const rows = runs.slice(0, MOST).map((r) => h("tr", {}, h("td.word", {}, runLink(r)), h("td", {}, status(r.status, r.reason)), h("td.wide", {}, r.experiment), metrics.map((m) => h("td.num", {}, finite(r.metrics[m]) ? short(r.metrics[m]) : m in r.metrics ? "not finite" : "", m === metrics[0] && (FAILED.has(r.status) ? flag(r.status, r.reason, "bad") : OPEN.has(r.status) ? flag("so far", "not over") : CUT.has(r.status) && flag(r.status, r.reason || "it did not finish")), r.contaminated && /test/.test(m) && flag("contaminated", "tuned on the test set", "bad"))),
    h("td.num", {}, r.epochs), h("td.num", {}, span(r.time)), h("td", { title: local(r.created) }, ago(r.created))));
  made.body.append(runs.length ? table([["run"], ["state"], ["experiment", "wide"], ...metrics.map((m) => [m, "num"]), [countSteps(runs) ? "steps" : runs.some((run) => countSteps([run])) ? "epochs or steps" : "epochs", "num"], ["time", "num"], ["begun"]], rows, "runs of no sweep") : h("div.empty", {}, "No run."));
  if (answer.loose_total > runs.length) made.say(`The latest ${Math.min(runs.length, MOST)} of ${many(answer.loose_total, "run")}; thetahat runs lists all.`);
  return made.root;
}

function agentsPanel(answer) {
  const made = panel("Agents", "s5 own");
  const names = new Map(answer.sweeps.map((s) => [s.id, s.name]));
  made.body.append(answer.agents.length ? table([["agent"], ["machine"], ["sweep"], ["doing"], ["heard of"]], answer.agents.slice(0, MOST).map((a) => h("tr", {}, h("td", {}, a.id), h("td", {}, `${a.host} (${a.pid})`), h("td", {}, a.sweep_id && sweepLink(a.sweep_id, names.get(a.sweep_id) || a.sweep_id)), h("td", {}, a.doing || ""),
    h("td", {}, a.alive ? `${span(Math.max(0, a.silent_s))} ago` : flag(`silent for ${span(a.silent_s)}`, "it has probably died; the next agent takes its runs", "bad")))), "agents") : h("div.empty", {}, "No agent is at work. ", h("code", {}, `thetahat agent ID${window.thetahatStore}`), " starts one."));
  return made.root;
}

function failuresPanel(failures) {
  const made = panel("What failed, and why", "s7 own");
  const by = new Map();
  for (const f of failures) { const kind = kindOf(f); if (!by.has(kind)) by.set(kind, []); by.get(kind).push(f); }
  const rows = [...by.values()].sort((a, b) => b.length - a.length).slice(0, 40).map((list) => [list[0].reason || list[0].status, list]).map(([why, list]) => h("tr", {}, h("td.num", {}, list.length), h("td", {}, status(list[0].status)), h("td.stretch", {}, why.slice(0, 400)), h("td.which", {}, list.slice(0, 3).map((f, i) => [i > 0 && ", ", runLink(f)]), list.length > 3 && ` and ${list.length - 3} more`)));
  made.body.append(rows.length ? table([["runs", "num"], ["state"], ["why"], ["which"]], rows, "failures") : h("div.empty", {}, "Nothing has failed."));
  return made.root;
}
