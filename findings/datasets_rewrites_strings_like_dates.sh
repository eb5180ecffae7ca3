#!/usr/bin/env bash
# Expected: load_dataset("json") with features that declare a column as a string returns its texts as the file has them.
# Seen: datasets 5.2.0 returns other texts if all of a column look like dates: "2020-01-01" comes back as "2020-01-01 00:00:00", and
#   "2020-01-01T10:00:00" without its T. Without features, the column has timestamps. The file is parsed with PyArrow's type inference
#   first, and the timestamps are cast to strings afterwards, so that declaring the type does not help.
# What it costs: texts that a model is trained or tested on are changed without a word; answers such as dates no longer match.
# Sources: datasets/packaged_modules/json/json.py (`paj.read_json` without an explicit schema, then `_cast_table`). Seen on 2026-12-01.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1
cd "$work"
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$work/cache" venv/bin/python - 2>/dev/null <<'PY'
import json

from datasets import Features, Value, load_dataset

texts = ["2020-01-01", "2020-01-01T10:00:00"]
with open("a.jsonl", "w") as stream:
    stream.writelines(json.dumps({"answer": text}) + "\n" for text in texts)
rows = load_dataset("json", data_files="a.jsonl", split="train", features=Features({"answer": Value("string")}))
print(f"written: {texts}\nread:    {rows['answer'][:]}")
if rows["answer"][:] != ["2020-01-01 00:00:00", "2020-01-01 10:00:00"]:
    raise SystemExit("changed")
print("seen again")
PY
