"""Grade a training loop: run it on small problems, and name the silent errors that it has."""

from thetahat.grade._catalogue import ERRORS as ERRORS, SilentError as SilentError
from thetahat.grade._finding import Finding as Finding, Grade as Grade
from thetahat.grade._process import grade_file as grade_file

__all__ = ["ERRORS", "Finding", "Grade", "SilentError", "grade_file"]
