"""Starting the jobs of a sweep, watching them, and saying how they ended."""
