"""Runs as processes of their own: any program, in any language."""
