"""Offline work: simulate a population, train a model from a decision log, evaluate decisions against the truth.

Nothing that serves imports from here; scikit-learn and onnx stay on this side.
"""
