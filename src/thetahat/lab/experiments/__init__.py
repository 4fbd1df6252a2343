"""Experiments of the lectures, one module each: ``thetahat lab list``."""
