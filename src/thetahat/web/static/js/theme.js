// Before anything is drawn: apply the chosen theme, else the system's.
(() => {
  // The path under which a proxy serves the page.
  const root = document.documentElement.dataset.root || "";
  window.thetahatRoot = root;
  // What gives a command the store of this page.
  window.thetahatStore = document.documentElement.dataset.store || "";
  // If the other scripts do not arrive, as where the page is opened by another name than its own, this one says so.
  addEventListener("error", (event) => {
    if (event.target?.tagName !== "SCRIPT") return;
    const say = () => {
      const { behind } = document.documentElement.dataset, told = document.createElement("p"), link = document.createElement("a");
      const elsewhere = behind && new URL(behind).origin !== location.origin;
      link.href = elsewhere ? behind + location.pathname.slice(root.length) + location.search : location.href;
      link.textContent = elsewhere ? link.href : "Load it again";
      told.append(elsewhere ? `This page is not served at ${location.origin}, and its scripts were refused. Open it there, by the printed address with its token: ` : "The scripts of this page did not arrive. ", link, ".");
      document.getElementById("main").replaceChildren(told);
      document.getElementById("main").removeAttribute("aria-busy");
    };
    document.readyState === "loading" ? addEventListener("DOMContentLoaded", say) : say();
  }, true);
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
