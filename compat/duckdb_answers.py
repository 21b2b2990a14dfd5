#!/usr/bin/env python3
"""Asks DuckDB the same questions of the same rows and compares its answers with ours.

Run by crates/query/tests/it/duckdb.rs with a folder: `tables/NAME.parquet` are the rows, and of every statement `NNN.sql` the answer
is `NNN.parquet`. Floats may differ in their last digits, and the order of rows counts. Exit codes: 0 all equal, 1 a difference,
77 the library is missing.
"""

import math
import pathlib
import sys

try:
    import duckdb
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)


def equal(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) or (one != one and other != other)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def main(folder):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for table in sorted((folder / "tables").glob("*.parquet")):
        connection.execute(f"CREATE VIEW \"{table.stem}\" AS SELECT * FROM read_parquet('{table}')")
    statements = sorted(folder.glob("*.sql"))
    failed = 0
    for path in statements:
        statement = path.read_text()
        theirs = connection.execute(statement).fetchall()
        answer = path.with_suffix(".parquet")
        ours = connection.execute(f"SELECT * FROM read_parquet('{answer}')").fetchall() if answer.exists() else []
        if not equal(ours, theirs):
            failed += 1
            print(f"{statement}\n  ours:   {ours}\n  theirs: {theirs}")
    print(f"{len(statements) - failed} of {len(statements)} answers are equal")
    return 1 if failed or not statements else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
