"""Renderings of a comparison: terminal, Markdown, CSV, LaTeX, JSON and the HTML report."""
