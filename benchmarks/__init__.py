"""Benchmarks: a question each, answered by a dated table beside its command. Never timed tests."""
