"""A grid search over nets in scikit-learn: ``thetahat.sklearn`` beside scikit-learn's own MLP."""
