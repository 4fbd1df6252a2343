"""How long does a sweep take to propose its next trial? See ``__main__``."""
