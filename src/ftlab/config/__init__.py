"""Configuration of a run: its groups, the task, composition by Hydra, fingerprint. Imports no torch."""
