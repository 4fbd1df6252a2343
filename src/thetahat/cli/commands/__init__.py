"""The commands of ``thetahat``: one module for each, ``add_parser`` and ``run``."""
