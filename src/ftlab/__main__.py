"""`python -m ftlab` is the console command."""

from ftlab.cli.app import main

main()
