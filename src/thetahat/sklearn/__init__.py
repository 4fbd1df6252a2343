"""Estimators for scikit-learn: bags of nets for tables, trained as one program."""

from thetahat.sklearn._estimators import (
    NeuralClassifier as NeuralClassifier,
    NeuralRegressor as NeuralRegressor,
)

__all__ = ["NeuralClassifier", "NeuralRegressor"]
