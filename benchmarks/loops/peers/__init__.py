"""The contestants, one file each: ``NAME`` and ``prepare(problem) -> loop``."""
