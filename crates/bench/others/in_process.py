#!/usr/bin/env python3
"""Asks an engine that lives inside this process, DuckDB or chDB, the questions that `influxdb3-bench query --print` printed.

    influxdb3-bench query --tsbs all --count 100 --print > questions.jsonl
    in_process.py duckdb --questions questions.jsonl --record records.jsonl cpu=/tmp/bench-data/bench/dbs/1/1

Each table is a view over Parquet files. A question counts from the statement to the whole answer as a table of Arrow in memory, without a
server in between. Each type gives one line in the file of records, with the figures and the checksum that `influxdb3-bench query` has:
equal checksums are equal answers. The canonical form of rows is told in `src/answer/checksum.rs`.
"""

import argparse
import itertools
import json
import math
import os
import sys
import time
import warnings
import zlib

import pyarrow

WHOLE_END = 1e9
SUM_END = 1 << 64


def main():
    options = arguments()
    with sys.stdin if options.questions == "-" else open(options.questions) as file:
        questions = [json.loads(line) for line in file]
    engine = ENGINES[options.engine](options.threads)
    for table in options.tables:
        name, _, path = table.rpartition("=")
        engine.add_table(name or "cpu", os.path.join(path, "*.parquet") if os.path.isdir(path) else path)
    for name, group in itertools.groupby(questions, key=lambda question: question["question"]):
        record = measure(engine, name, list(group), options)
        print(told(record), flush=True)
        if options.record:
            with open(options.record, "a") as file:
                file.write(json.dumps(record) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("tables", nargs="+", metavar="[TABLE=]PATH", help="folder or glob of Parquet files; of cpu if no table is named")
    parser.add_argument("--questions", default="-", help="file of questions, standard input if not given")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of the engine (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=3, help="how many of each type are asked once before (%(default)s)")
    parser.add_argument("--record", help="file to which lines of JSON with the figures are added")
    parser.add_argument("--label", help="what the figures are of; the engine if not given")
    return parser.parse_args()


class DuckDB:
    fetch = "fetch_arrow_table"

    def __init__(self, threads):
        import duckdb

        self.version = duckdb.__version__
        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads TO {threads}")
        # A server keeps footers of files too.
        self.connection.execute("SET parquet_metadata_cache TO true")
        self.connection.execute("SET TimeZone TO 'UTC'")
        # A newer way, without a copy, is slower for small answers and no faster for large ones.
        warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")

    def add_table(self, name, glob):
        self.connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{glob}')")

    def ask(self, statement):
        answer = self.connection.execute(statement)
        # Newer versions call it differently.
        return answer.to_arrow_table() if hasattr(answer, "to_arrow_table") else answer.fetch_arrow_table()


class ChDB:
    fetch = "query(…, 'ArrowTable')"

    def __init__(self, threads):
        import chdb
        from chdb.session import Session

        self.version = chdb.__version__
        self.session = Session()
        self.settings = f" SETTINGS max_threads = {threads}, session_timezone = 'UTC'"

    def add_table(self, name, glob):
        self.session.query(f"CREATE VIEW {name} AS SELECT * FROM file('{glob}', Parquet)")

    def ask(self, statement):
        return self.session.query(statement + self.settings, "ArrowTable")


ENGINES = {"duckdb": DuckDB, "chdb": ChDB}


def measure(engine, name, questions, options):
    """Asks all questions of one type, and gives the record."""
    statements = []
    for question in questions:
        if options.engine not in question:
            sys.exit(f"{name} is not written in the SQL of {options.engine}")
        statements.append(question[options.engine])
    first_ms = None
    for statement in statements[: options.warm_up]:
        _, duration_ms, _ = timed(engine, name, statement)
        first_ms = first_ms or duration_ms
    durations_ms, cpu_ms, sums, rows, size = [], 0, [], 0, 0
    for question, statement in zip(questions, statements):
        answer, duration_ms, used_ms = timed(engine, name, statement)
        first_ms = first_ms or duration_ms
        durations_ms.append(duration_ms)
        cpu_ms += used_ms
        size += answer.nbytes
        rows += answer.num_rows
        try:
            sums.append(checksum(question, answer))
        except ValueError as error:
            sys.exit(f"{name}: question {len(sums) + 1} of {len(questions)}: {error}: {statement}")
    count = len(questions)
    durations_ms.sort()
    percentile = lambda percent: durations_ms[max(math.ceil(count * percent / 100) - 1, 0)]
    total = of_row("\t".join(f"{sum:016x}" for sum in sums))
    return {
        "label": options.label or options.engine,
        "command": "query",
        "name": name,
        "figures": {
            "queries": count,
            "workers": 1,
            "queries_per_s": count / sum(durations_ms) * 1e3,
            "mean_ms": sum(durations_ms) / count,
            "p50_ms": percentile(50),
            "p90_ms": percentile(90),
            "p99_ms": percentile(99),
            "p999_ms": percentile(99.9),
            "max_ms": percentile(100),
            "first_ms": first_ms,
            "cpu_ms": cpu_ms / count,
            "rows": rows / count,
            "bytes": size / count,
        },
        "texts": {
            "question": name,
            "language": "sql",
            "engine": f"{options.engine} {engine.version}, {options.threads} threads",
            "fetch": engine.fetch,
            "checksum": f"{total:016x}",
        },
        "series": {"percentiles_ms": [[percent, percentile(percent)] for percent in [*range(100), 99.5, 99.9, 99.99, 100]]},
    }


def timed(engine, name, statement):
    """The answer, how long it took, and the CPU time of all threads."""
    cpu, started = time.process_time(), time.perf_counter()
    try:
        answer = engine.ask(statement)
    except Exception as error:
        sys.exit(f"{name}: {error}: {statement}")
    return answer, (time.perf_counter() - started) * 1e3, (time.process_time() - cpu) * 1e3


def told(record):
    figures = record["figures"]
    return (
        f"{record['name']}: {figures['queries']} queries, {figures['queries_per_s']:.1f} per second, {figures['bytes']:.0f} bytes each, "
        f"{figures['rows']:.1f} rows: mean {figures['mean_ms']:.3f} ms, p50 {figures['p50_ms']:.3f} ms, p90 {figures['p90_ms']:.3f} ms, "
        f"p99 {figures['p99_ms']:.3f} ms, max {figures['max_ms']:.3f} ms, first {figures['first_ms']:.3f} ms; "
        f"{figures['cpu_ms']:.3f} ms of CPU time each; checksum {record['texts']['checksum']}"
    )


def checksum(question, answer):
    """The sum over the rows of an answer; fails if it is not what an answer to the question can look like."""
    if not question["rows_min"] <= answer.num_rows <= question["rows_max"]:
        raise ValueError(f"the answer has {answer.num_rows} rows instead of {question['rows_min']} to {question['rows_max']}")
    columns = []
    for column in question["columns"]:
        if column["name"] not in answer.column_names:
            raise ValueError(f"the answer has no column {column['name']!r} but {', '.join(answer.column_names)}")
        columns.append(READERS[column["kind"]](answer.column(column["name"])))
    check_order(question, columns)
    texts = [WRITERS[column["kind"]](values) for column, values in zip(question["columns"], columns)]
    return sum(of_row("\t".join(row)) for row in zip(*texts)) % SUM_END


def check_order(question, columns):
    if question["order"] == "any" or question["columns"][0]["kind"] != "time":
        return
    times = columns[0] if question["order"] == "ascending" else columns[0][::-1]
    if any(later < earlier for earlier, later in zip(times, times[1:])):
        raise ValueError(f"the answer is not in {question['order']} order")


def times_ns(column):
    if pyarrow.types.is_integer(column.type):
        return [seconds * 1_000_000_000 for seconds in column.to_pylist()]
    return column.cast(pyarrow.timestamp("ns", tz=getattr(column.type, "tz", None))).cast(pyarrow.int64()).to_pylist()


READERS = {
    "time": times_ns,
    "text": lambda column: column.cast(pyarrow.string()).to_pylist(),
    "number": lambda column: column.cast(pyarrow.float64()).to_pylist(),
}


def each_once(write):
    """Writes a column's values, equal ones once."""

    def write_all(values):
        texts = {value: write(value) for value in set(values)}
        return [texts[value] for value in values]

    return write_all


def number(value):
    if value is None:
        return ""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return str(value)
    rounded = float(f"{value:.8e}")
    if rounded.is_integer() and abs(rounded) < WHOLE_END:
        return str(int(rounded))
    digits, _, exponent = f"{value:.8e}".partition("e")
    return f"{digits}e{int(exponent)}"


WRITERS = {
    "time": lambda values: ["" if value is None else str(value) for value in values],
    "text": lambda values: [value or "" for value in values],
    "number": each_once(number),
}


def of_row(row):
    data = row.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data)


if __name__ == "__main__":
    main()
