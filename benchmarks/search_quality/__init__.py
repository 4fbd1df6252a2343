"""Does a search find what Optuna's own TPE finds? See ``__main__``."""
