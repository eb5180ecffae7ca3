"""Python interface, of which `ftlab` exports the public names: runs as child processes, results as data frames."""
