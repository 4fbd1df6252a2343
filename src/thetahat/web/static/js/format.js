// Numbers and times for people.
export const finite = (value) => typeof value === "number" && Number.isFinite(value);

export function short(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

// What a setting is ranked by: the mean of its folds, else the median over its seeds.
export const center = (one) => one?.mean ?? one?.median ?? null;

// One format for a whole column, so that digits are aligned.
export function columnStyle(values, digits = 4) {
  const sizes = [];
  for (const v of values) if (finite(v) && v !== 0) sizes.push(Math.abs(v));
  if (!sizes.length) return short;
  let [low, high, whole] = [Infinity, 0, true];
  for (const s of sizes) { if (s < low) low = s; if (s > high) high = s; if (whole && !Number.isInteger(s)) whole = false; }
  if (whole && high < 1e9) return (v) => (finite(v) ? String(v) : short(v));
  const [small, large] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
  const decimals = Math.max(0, digits - 1 - large, digits - 2 - small);
  if (decimals <= 6 && large < 6) return (v) => (finite(v) ? v.toFixed(decimals) : short(v));
  return (v) => (finite(v) ? v.toExponential(digits - 1) : short(v));
}

export function span(seconds) {
  if (!finite(seconds)) return "";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Number((seconds / 3600).toFixed(1))} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function ago(stamp) {
  const at = Date.parse(stamp);
  if (!Number.isFinite(at)) return "";
  const seconds = (Date.now() - at) / 1000;
  return seconds < 5 ? "just now" : `${span(Math.round(seconds))} ago`;
}

export const local = (stamp) => { const at = new Date(stamp); return Number.isFinite(+at) ? at.toLocaleString("sv-SE") : ""; };
export const many = (n, word, words = `${word}s`) => `${n.toLocaleString("en")} ${n === 1 ? word : words}`;

function isFlat(config) {
  for (const name in config) if (typeof config[name] === "object" && config[name] !== null) return false;
  return true;
}

// Flatten a config: nested names are joined with dots.
export function flat(config, above = "", into = {}) {
  if (!above && isFlat(config)) return config;
  for (const [name, value] of Object.entries(config)) {
    if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) flat(value, `${above}${name}.`, into);
    else into[above + name] = Array.isArray(value) || (value && typeof value === "object") ? JSON.stringify(value) : value;
  }
  return into;
}

// A name as a label: a long one is cut, and its title has all of it.
export const brief = (text, most = 32) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
