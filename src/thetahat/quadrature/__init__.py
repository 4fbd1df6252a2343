"""Quadrature: an expectation or an integral as a weighted sum over a few nodes."""

from thetahat.quadrature._rules import (
    Quadrature as Quadrature,
    gauss_hermite as gauss_hermite,
    gauss_legendre as gauss_legendre,
    monomial as monomial,
    monte_carlo as monte_carlo,
)

__all__ = ["Quadrature", "gauss_hermite", "gauss_legendre", "monomial", "monte_carlo"]
