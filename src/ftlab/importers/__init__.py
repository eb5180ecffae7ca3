"""Importers of results that other tools publish: each turns files into run records. Imports no torch."""
