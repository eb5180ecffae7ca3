"""`python -m ftlab` is the console command."""

from ftlab.cli import main

main()
