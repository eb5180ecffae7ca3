"""Task kinds, one module each with its `KIND`. A new module here is found by `ftlab.config.kinds`; imports no torch."""
