"""What is drawn on a terminal: live lines, progress, tables, last words."""
