"""The look of a report: a page to print, that a phone and a dark room can read as well."""

CSS = """\
:root {
  --paper: #ffffff; --ink: #1a1f26; --dim: #57606c;
  --line: #d5dae1; --grid: #e1e5ea; --wash: #f4f6f8;
  --c1: #0072b2; --c2: #d55e00; --c3: #00805c; --c4: #b0568a;
  --c5: #b07800; --c6: #3a93c9; --c7: #5c5c5d; --c8: #7a4fb5;
  --warn: #8a4b00; --warn-wash: #fdf3e2; --best: #eaf3f9;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e4e8ed; --dim: #a2acb7;
    --line: #39424d; --grid: #2a313a; --wash: #1c2229;
    --c1: #56b4e9; --c2: #f0843c; --c3: #37c596; --c4: #e08fbd;
    --c5: #e6b422; --c6: #8ed1fc; --c7: #b3b3b3; --c8: #b794f0;
    --warn: #f2b866; --warn-wash: #33270f; --best: #17303f;
  }
}
@media print {
  :root {
    --paper: #ffffff; --ink: #000000; --dim: #444444;
    --line: #bbbbbb; --grid: #dddddd; --wash: #ffffff;
    --c1: #0072b2; --c2: #d55e00; --c3: #00805c; --c4: #b0568a;
    --c5: #b07800; --c6: #3a93c9; --c7: #5c5c5d; --c8: #7a4fb5;
    --warn: #8a4b00; --warn-wash: #ffffff; --best: #eeeeee; color-scheme: light;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.6rem 1.5rem 4rem; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 0.9rem; margin-bottom: 1.3rem; }
h1 {
  font-size: 1.9rem;
  line-height: 1.2;
  margin: 0;
  letter-spacing: -0.01em;
  overflow-wrap: anywhere;
}
header p { margin: 0.35rem 0 0; color: var(--dim); font-size: 0.92rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 0.7rem; line-height: 1.3; }
h3 { font-size: 0.95rem; margin: 0 0 0.1rem; line-height: 1.3; }
p { margin: 0 0 0.6rem; max-width: 46rem; }
.lead { font-size: 1.06rem; }
.warning {
  max-width: none; background: var(--warn-wash); border-left: 4px solid var(--warn);
  padding: 0.45rem 0.8rem; margin: 0 0 0.5rem; font-size: 0.94rem;
}
dl {
  display: grid;
  grid-template-columns: minmax(7rem, max-content) 1fr;
  gap: 0.3rem 1.4rem;
  margin: 0;
}
dt { color: var(--dim); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--c1); outline-offset: 2px; }
table {
  border-collapse: collapse;
  font-size: 0.9rem;
  min-width: 24rem;
  border-top: 2px solid var(--ink);
  border-bottom: 2px solid var(--ink);
}
th {
  font-weight: 600;
  text-align: left;
  vertical-align: bottom;
  border-bottom: 1px solid var(--ink);
}
th, td { padding: 0.28rem 0.95rem 0.28rem 0; vertical-align: top; }
th:last-child, td:last-child {
  padding-right: 0.3rem;
  } th:first-child, td:first-child { padding-left: 0.3rem;
}
td { max-width: 26rem; }
.n { text-align: right; }
td.n { white-space: nowrap; }
tr.best td { background: var(--best); font-weight: 600; }
tbody tr + tr td { border-top: 1px solid var(--grid); }
td.gone { color: var(--dim); font-style: italic; font-weight: 400; white-space: nowrap; }
sup {
  font-size: 0.72em;
  line-height: 0;
  color: var(--warn);
  font-weight: 600;
  margin-left: 0.1em;
}
.pad { visibility: hidden; }
.legend { font-size: 0.84rem; color: var(--dim); margin: 0.5rem 0 0; max-width: none; }
.figures {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr));
  gap: 2rem 2.2rem;
}
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto; margin-top: 0.35rem; }
@media screen and (prefers-color-scheme: dark) { figure svg image { filter: brightness(1.7); } }
figure svg text { font-family: inherit !important; }
figcaption { font-size: 0.86rem; color: var(--dim); max-width: 34rem; }
.small { font-size: 0.9rem; }
pre {
  font: 0.8rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--wash); border: 1px solid var(--line); padding: 0.7rem 0.9rem; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
footer {
  margin-top: 2.6rem;
  border-top: 1px solid var(--line);
  padding-top: 0.6rem;
  color: var(--dim);
  font-size: 0.84rem;
}
@media (max-width: 36rem) {
  main { padding: 1.3rem 1rem 2.5rem; }
  h1 { font-size: 1.5rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin: 0 0 0.5rem; }
}
@media print {
  @page { margin: 18mm 16mm; }
  html { font-size: 9.5pt; }
  body { font-size: 1rem; }
  main { max-width: none; padding: 0; }
  .figures { grid-template-columns: 1fr 1fr; gap: 1.2rem 1.6rem; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; min-width: 0; }
  th, td { padding-right: 0.6rem; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  thead { display: table-header-group; }
}
"""
