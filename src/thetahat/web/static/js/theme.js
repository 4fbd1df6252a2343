// Before anything is drawn: apply the chosen theme, else the system's.
(() => {
  // The path under which a proxy serves the page.
  const root = document.documentElement.dataset.root || "";
  window.thetahatRoot = root;
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
      try { to ? localStorage.setItem("thetahat-theme", to) : localStorage.removeItem("thetahat-theme"); } catch { /* private windows store nothing */ }
      apply();
    },
  };
  // Request the runs before the scripts that show them are loaded; the page's head preloads them.
  const [, kind, id] = location.pathname.slice(root.length).split("/");
  if (kind === "sweep" && /^[A-Za-z0-9_-]+$/.test(id)) { const path = `/api/sweeps/${id}`; window.thetahatEarly = { path, answer: fetch(root + path) }; window.thetahatEarly.answer.catch(() => {}); }
  dark.addEventListener("change", apply);
  apply();
})();
