"""The commands of ``thetahat``: a module each, with DESCRIPTION, EXAMPLES, add_flags and run."""
