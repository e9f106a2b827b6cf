"""A gateway that runs a model request once and lets its owner read the answer whole."""

__version__ = "0.1.0"
