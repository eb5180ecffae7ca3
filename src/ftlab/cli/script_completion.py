"""Completion of `python train.py` in bash: the script for `eval`; as a module, the candidates that it asks for."""

import os

from ftlab.cli.completion import candidates
from ftlab.core.errors import ConfigError

_LINE = "FTLAB_COMPLETE_LINE"  # environment variable: the command line up to the cursor

# The script on the command line is not run: it is only looked at whether it is ftlab's train.py.
_INSTALL = r"""
_ftlab_script_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" current="${COMP_WORDS[COMP_CWORD]}" words word part IFS=$' \t\n'
    COMPREPLY=()
    read -ra words <<< "$line"
    [[ ${#words[@]} -gt 2 || ( ${#words[@]} -eq 2 && $line == *[[:space:]] ) ]] || return
    grep -qx 'from ftlab.cli.training import train' -- "${words[1]}" 2> /dev/null || return
    [[ $line == *[[:space:]] ]] && word="" || word="${words[-1]}"
    [[ $current == [=@] ]] && current=""
    part="${word%"$current"}"  # what bash takes for words before the current one
    IFS=$'\n'
    COMPREPLY=($(FTLAB_COMPLETE_LINE="$line" "${words[0]}" -m ftlab.cli.script_completion 2> /dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$part"}")
}
_ftlab_python_completion="$(complete -p python 2> /dev/null)"
complete -o default -F _ftlab_script_completion python python3
"""
_UNINSTALL = """
complete -r python python3 2> /dev/null
eval "$_ftlab_python_completion"
unset -f _ftlab_script_completion
unset _ftlab_python_completion
"""


def complete_script(arguments: list[str]) -> None:
    """Print what `-sc install=bash` or `-sc uninstall=bash` asks for.

    Raises:
        ConfigError: it asks for something else.
    """
    requests = [argument for argument in arguments if not argument.startswith("-")]
    match requests:
        case ["install=bash"]:
            print(_INSTALL)
        case ["uninstall=bash"]:
            print(_UNINSTALL)
        case _:
            raise ConfigError(
                f"--shell-completion takes install=bash or uninstall=bash, not {' '.join(requests) or 'nothing'}: in "
                "other shells, use ftlab train and ftlab --install-completion."
            )


def _print_candidates() -> None:
    line = os.environ.get(_LINE, "")
    words = line.split()[2:]  # without the interpreter and the script
    word = words.pop() if words and not line[-1].isspace() else ""
    print(*(match.value for match in candidates(words, word)), sep="\n")


if __name__ == "__main__":
    _print_candidates()
