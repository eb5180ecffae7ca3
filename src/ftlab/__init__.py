"""ftlab: which fine-tuning method for my model, my data and my hardware, and how sure am I?"""

__version__ = "0.1.0"
