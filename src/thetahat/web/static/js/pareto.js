// The Pareto front of a sweep with several objectives: a chart of two of them, and a table.
import { axis, base, css, logAxis, nothing, tip, tooltip } from "./charts.js";
import { fill, go, h, panel, select } from "./dom.js";
import { finite, short } from "./format.js";
import { counts } from "./model.js";
import { dotChart, dotsOf, runTip, spread } from "./overview.js";

const ROWS = 10;

export class ParetoPanel {
  constructor(state) {
    this.state = state;
    const names = this.front.objectives.map((one) => one.name);
    [this.x, this.y] = names;
    const boxes = names.length > 2 ? [select("along", names, this.x, (n) => { this.x = n; this.chart.draw(); }), select("up", names, this.y, (n) => { this.y = n; this.chart.draw(); })] : [];
    const made = panel("Pareto front", "", boxes);
    this.root = made.root;
    this.chart = dotChart("Two objectives against each other, with the Pareto front", "", (drawn, runAt) => this.option(drawn, runAt), (event) => this.go(event));
    this.list = h("div.scroll", { tabindex: "0", role: "group", "aria-label": "the Pareto front" });
    const legend = h("div.legend.dim", {}, [["i.dot", "--c1", this.front.replicated ? "a run" : "ended well"], ["i.dot", "--c2", "no other improves on it"]].map(([tag, c, word]) => h("span", {}, h(tag, { style: { background: `var(${c})` } }), word)));
    made.body.append(h("div.grid", {}, h("div.s7", {}, this.chart.element, legend), h("div.s5", {}, this.list)));
  }

  get front() { return this.state.model.front; }

  draw() { this.chart.draw(); this.fillList(); }

  close() { this.chart.close(); }

  go({ seriesName, dataIndex }) {
    const point = seriesName === "front" ? this.points()[dataIndex] : null;
    if (point) go(link(point));
    return Boolean(point);
  }

  place(name) { return this.front.objectives.findIndex((one) => one.name === name); }

  points() { return this.front.points; }

  option(drawn, runAt) {
    const { state, x, y } = this;
    const [i, j] = [this.place(x), this.place(y)];
    const points = this.points();
    if (!points.length) return nothing("No run has ended with a number for every objective yet.");
    const dots = dotsOf(state);
    for (const run of state.model.runs) {
      const [a, b] = [run.metrics[x], run.metrics[y]];
      if (counts(run) && finite(a) && finite(b)) dots.add(run, a, b);
    }
    drawn.lists = dots.list;
    const ended = state.model.runs.filter(counts);
    const scale = (name, k, more) => {
      const { log, low, high } = spread([...ended.map((run) => run.metrics[name]), ...points.map((p) => p.values[k])]);
      const said = `${name} (${this.front.objectives[k].goal === "maximize" ? "more" : "less"} is better)`;
      return log ? logAxis(said, low, high, more) : axis(said, more);
    };
    const corners = [];
    // Between two points of the front nothing better is known than the worse of both.
    points.forEach((p, k) => { if (k) corners.push([p.values[i], points[k - 1].values[j]]); corners.push([p.values[i], p.values[j]]); });
    const two = this.front.objectives.length === 2;
    return base({
      xAxis: { ...scale(x, i), splitLine: { show: false } }, yAxis: scale(y, j, { nameGap: 40 }),
      grid: { left: 8, right: 16, top: 14, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "all" },
      tooltip: tooltip({ formatter: (p) => { if (p.seriesName === "front") return this.tipOf(points[p.dataIndex]); const run = runAt(p); return run ? runTip(run, state) : ""; } }),
      series: [...dots.series(),
        ...(two ? [{ type: "line", name: "edge", data: corners, showSymbol: false, silent: true, z: 4, lineStyle: { color: css("--c2"), width: 1.5 } }] : []),
        { type: "scatter", name: "front", data: points.map((p) => [p.values[i], p.values[j]]), symbolSize: points.length > 200 ? 6 : 11, symbol: "diamond", z: 6, itemStyle: { color: css("--c2"), borderColor: css("--panel"), borderWidth: 1 } }],
    });
  }

  tipOf(point) {
    const objectives = this.front.objectives.map((one, k) => [one.name, short(point.values[k])]);
    return tip(point.name || `${this.front.word}s of ${point.n} runs`, [...objectives, ...this.varying(point)], "no other improves on it");
  }

  varying(point) {
    return Object.entries(point.config).filter(([name]) => this.state.model.byName.get(name)?.varies).slice(0, 10).map(([name, v]) => [name, short(v)]);
  }

  fillList() {
    const points = this.points();
    const names = this.front.objectives.map((one) => one.name);
    const searched = [...new Set(points.flatMap((p) => Object.keys(p.config)))].filter((name) => this.state.model.byName.get(name)?.varies).slice(0, 6);
    const cells = (p) => [...p.values.map((v) => short(v)), ...searched.map((name) => (p.config[name] === undefined ? "" : short(p.config[name])))];
    const more = points.length - ROWS;
    fill(this.list, h("table.plain", {}, h("thead", {}, h("tr", {}, h("th", {}, this.front.replicated ? "runs" : "run"), [...names, ...searched].map((w) => h("th.num", {}, w)))),
      h("tbody", {}, points.slice(0, ROWS).map((p) => h("tr", {}, h("td", {}, h("a", { href: link(p) }, p.name || `${p.n} of ${p.ids.length}`)), cells(p).map((w) => h("td.num", {}, w)))))),
    more > 0 && h("p.dim.small", {}, `and ${more.toLocaleString("en")} more, on the chart`));
  }
}

const link = (point) => (point.ids.length === 1 ? `/run/${encodeURIComponent(point.ids[0])}` : `/compare?runs=${point.ids.slice(0, 60).map(encodeURIComponent).join(",")}&bands=1`);
