"""What does cross-fitting 100 nuisance nets cost, beside scikit-learn?"""
