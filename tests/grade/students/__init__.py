"""Programs of imaginary students: correct ones in many styles, and the same with one error."""

from students._compose import Student as Student, correct as correct, wrong as wrong

__all__ = ["Student", "correct", "wrong"]
