"""Output on a terminal: live lines, progress, tables, summaries."""
