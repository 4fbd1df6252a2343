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
  dark.addEventListener("change", apply);
  apply();
})();
