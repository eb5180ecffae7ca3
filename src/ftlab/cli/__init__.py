"""Command line: `train.py` (Hydra) and the console command `ftlab` (typer). Imports no torch."""
