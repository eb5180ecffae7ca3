#!/usr/bin/env bash
# Expected: with `pytest -n 2 --dist loadgroup`, tests that carry the same xdist_group mark run in one worker process.
# Seen: the marks have no effect; the tests of one group are spread over both workers, and nothing warns.
# Why: pytest-xdist 3.8.0 appends "@group" to a test's `_nodeid`; pytest 9.2.0 keeps the id in `_id` and reads `_nodeid` no more.
# What it costs: a fixture that is made once per process is made once in each worker, so a suite is slow and does not say why.
# Sources: the installed code of both (xdist/remote.py, _pytest/nodes.py). Seen on 2026-11-29.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0
cat >"$work/test_groups.py" <<'PY'
import os

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(40))
def test_which_worker(number, testrun_uid, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp().parent
    (folder / f"{os.environ['PYTEST_XDIST_WORKER']}.{number}.seen").touch()
PY
cd "$work"
venv/bin/pytest -q -p no:cacheprovider -n 2 --dist loadgroup --basetemp "$work/out" test_groups.py
workers=$(find "$work/out" -name '*.seen' -printf '%f\n' | cut -d. -f1 | sort -u | tr '\n' ' ')
echo "workers that ran tests of the one group: $workers"
if [ "$workers" = "gw0 gw1 " ]; then echo "seen again"; else echo "changed: the group was kept together"; exit 1; fi
