"""ftlab: comparison of fine-tuning methods for a given model, data set and hardware, with error bars."""

__version__ = "0.1.0"
