"""Console command `ftlab`, as `python -m ftlab`."""

from ftlab.core.import_path import search_cwd_last

search_cwd_last()  # before the imports below: `python -m` puts it first

from ftlab.cli.app import main  # noqa: E402

main()
