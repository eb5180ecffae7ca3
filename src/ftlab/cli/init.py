"""Command `ftlab init`: a project of the user's own, with an example to start from."""

import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.config.paths import project_template
from ftlab.core.errors import UserError

app = typer.Typer()

_NEXT = (
    "ftlab data dataset=tickets",
    "ftlab train experiment=tickets",
    "ftlab train -m experiment=tickets method=lora_small,lora,full",
    "ftlab train --help",
)


def _folder(text: str) -> Path:
    if not text.strip():  # as of an unset variable; Path("") would be the working directory
        raise typer.BadParameter("give the name of a folder, or . for the one where you are.")
    return Path(text)


@app.command("init", epilog="ftlab init mine\n\nIn the folder where you are: ftlab init .")
def _init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to create, or one without these files.", parser=_folder)
    ],
) -> None:
    """Create a project: a folder with methods, data sets and experiments of your own, and an example of each.

    Started in this folder, ftlab finds its choices without --config-dir.
    """

    def action() -> None:
        create_project(directory)
        typer.echo(f"{directory} is a project now: its README.md says what is in it. What to do next:")
        if directory.resolve() != Path.cwd():
            typer.echo(f"  cd {shlex.quote(str(directory))}")
        for command in _NEXT:
            typer.echo(f"  {command}")

    report_errors(action)


def create_project(directory: Path) -> None:
    """Write the files of a new project, or none of them.

    Args:
        directory: the project's folder; created if it does not exist.

    Raises:
        UserError: the folder has one of the files already, or is a file.
        OSError: a file cannot be written.
    """
    files = {_target(path, directory): path.read_bytes() for path in _template_files()}
    folders = {directory, *(folder for path in files for folder in path.parents if folder.is_relative_to(directory))}
    for folder in sorted(folders):
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            raise UserError(f"{folder} is a file, and a project needs a folder of this name: choose another folder.")
    for path in files:
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} exists already, and nothing was written: choose another folder, or move it away.")
    with ExitStack() as undo:  # if a file cannot be written, those before it are removed
        for folder in sorted(folders | set(directory.parents)):
            if not folder.exists():
                folder.mkdir()
                undo.callback(folder.rmdir)
        for path, content in files.items():
            with path.open("xb") as file:
                undo.callback(path.unlink)
                file.write(content)
        undo.pop_all()


def _template_files() -> list[Path]:
    template = project_template()
    return sorted(Path(folder, name) for folder, _, names in os.walk(template) for name in names)


def _target(path: Path, directory: Path) -> Path:
    """Return where a file of the template belongs; git and build tools would heed a `.gitignore` in the package."""
    inside = path.relative_to(project_template())
    return directory / (inside.with_name(".gitignore") if inside.name == "gitignore" else inside)
