#!/usr/bin/env bash
# Expected: a training script that a notebook starts with subprocess, its output in a pipe, prints as it does in a log file: no
#   terminal, so no bar that is redrawn.
# Seen: ipykernel 7.4.0 exports FORCE_COLOR and CLICOLOR_FORCE, which every child inherits. rich 15.0.0 (the bars of Lightning's
#   RichProgressBar, of torchtune and of others) takes FORCE_COLOR for "this is a terminal": the child writes cursor movements and
#   redraws its bars into the pipe, ten times a second for as long as it trains.
# What it costs: cells and logs of notebooks fill with control sequences, megabytes for a long run, and code that reads the output
#   line by line finds no line. Take both variables out of the child's environment.
# Sources: the sources of the two packages; seen by running it, on 2026-12-01.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check ipykernel==7.4.0 jupyter_client==8.10.0 rich==15.0.0
cat >"$work/train.py" <<'PY'
import time

from rich.progress import track

for step in track(range(30), "training"):
    time.sleep(0.1)
print("done")
PY
cat >"$work/cell.py" <<'PY'
import os
import subprocess
import sys

def output_of_the_child(**settings):
    command = [sys.executable, os.environ["TRAIN"]]
    return subprocess.run(command, capture_output=True, text=True, check=True, **settings).stdout

plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
for name, text in (("as it is", output_of_the_child()), ("without the variables", output_of_the_child(env=plain))):
    print(f"{name}: bars {text.count('training')}, escape sequences {text.count(chr(27))}")
PY
cat >"$work/notebook.py" <<'PY'
import sys

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3")
lines = []
client.execute_interactive(
    open(sys.argv[1]).read(), output_hook=lambda message: lines.append(message["content"].get("text", "")), timeout=60
)
manager.shutdown_kernel(now=True)
printed = "".join(lines)
print("in a notebook,", printed.replace("\n", "\nin a notebook, ", 1), end="")
drawn, clean = (line for line in printed.splitlines())
sys.exit("bars 1," in drawn or "bars 1, escape sequences 0" not in clean)
PY
export TRAIN="$work/train.py" PATH="$work/venv/bin:$PATH" JUPYTER_PLATFORM_DIRS=1
echo -n "in a script,   "; env -u FORCE_COLOR -u CLICOLOR_FORCE python "$work/cell.py" | sed -n 1p
if python "$work/notebook.py" "$work/cell.py" 2>/dev/null; then echo "seen again"; else echo "changed"; exit 1; fi
