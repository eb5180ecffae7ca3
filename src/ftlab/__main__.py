"""Console command `ftlab`, as `python -m ftlab`."""

from ftlab.cli.app import main

main()
