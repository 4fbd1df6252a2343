// Before anything is drawn: the theme that was chosen, else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("thetahat-theme"); } catch { return null; } };
  const apply = () => {
    document.documentElement.dataset.theme = chosen() || (dark.matches ? "dark" : "light");
    document.dispatchEvent(new Event("themechange"));
  };
  window.thetahatTheme = {
    chosen,
    next() {
      const order = [null, "light", "dark"];
      const to = order[(order.indexOf(chosen()) + 1) % 3];
      try { to ? localStorage.setItem("thetahat-theme", to) : localStorage.removeItem("thetahat-theme"); } catch { /* a private window keeps nothing */ }
      apply();
    },
  };
  // What the page will need is asked for while its scripts are still being read.
  const wanted = { sweep: ["js/sweep.js", "js/table.js", "js/charts.js", "js/overview.js", "js/parallel.js", "js/model.js", "js/api.js", "js/dom.js", "js/format.js", "vendor/echarts/echarts.esm.min.js"],
    run: ["js/run.js", "js/curves.js", "js/charts.js", "js/api.js", "js/dom.js", "js/format.js", "vendor/echarts/echarts.esm.min.js"] };
  const [, kind, id] = location.pathname.split("/");
  for (const file of wanted[kind] || []) {
    const link = document.createElement("link");
    Object.assign(link, { rel: "modulepreload", href: `/static/${file}` });
    document.head.append(link);
  }
  if (kind === "sweep" && id) { const path = `/api/sweeps/${id}`; window.thetahatEarly = { path, answer: fetch(path) }; window.thetahatEarly.answer.catch(() => {}); }
  dark.addEventListener("change", apply);
  apply();
})();
