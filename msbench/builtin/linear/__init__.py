"""Baselines of scikit-learn and counting, for all kinds of tasks: what strategies should beat."""
