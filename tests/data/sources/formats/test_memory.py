"""Files larger than memory: no reader of lines holds one as a whole."""

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from ftlab.data.sources.formats import ReadOptions, read_file

_COUNT, _LENGTH = 12_000, 1_000  # rows, and characters in each: 12 MB
_MOST = 5_000_000  # bytes


def _write(path: Path) -> None:
    rows = [{"text": f"{number:0{_LENGTH}}", "label": "x"} for number in range(_COUNT)]
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=1000)
        return
    with gzip.open(path, "wt", 1) if path.suffix == ".gz" else path.open("w", newline="") as stream:
        if ".csv" in path.name:
            csv.writer(stream).writerows([["text", "label"], *(row.values() for row in rows)])
        elif ".jsonl" in path.name:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            stream.writelines(row["text"] + "\n\n" for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.jsonl.gz", "a.csv.gz", "a.parquet"])
def test_rows_come_one_by_one(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_file(tmp_path / name, ReadOptions()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == _COUNT
    assert peak < _MOST
