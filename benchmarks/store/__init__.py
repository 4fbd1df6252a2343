"""How many epoch records a second does a store take? See ``__main__``."""
