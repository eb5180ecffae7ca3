"""Executors that start the jobs of a sweep, monitor them and record how they ended."""
