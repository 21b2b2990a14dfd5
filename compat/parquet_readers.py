#!/usr/bin/env python3
"""Reads data files with pyarrow and DuckDB and compares them with what the Rust reader said.

Run by crates/storage/tests/it/parquet_readers.rs with pairs of arguments: a Parquet file and its rows as JSON lines, one
array per row with one text (or null) per column: numbers in decimal, floats as the hexadecimal of their eight bytes
(little-endian), times in nanoseconds. Exit codes: 0 all equal, 1 a difference, 77 a library is missing.
"""

import json
import struct
import sys

try:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)


def text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return struct.pack("<d", value).hex()
    return str(value)


def plain(column):
    """A column without dictionary, times as integers."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        assert column.type.unit == "ns" and column.type.tz is None, column.type
        column = column.cast(pa.int64())
    return column.to_pylist()


def compare(reader, path, found, expected):
    assert len(found) == len(expected), f"{reader} {path}: {len(found)} rows instead of {len(expected)}"
    for number, (one, other) in enumerate(zip(found, expected)):
        assert one == other, f"{reader} {path}: row {number} is {one} instead of {other}"


def rows_of(columns):
    return [[text(value) for value in row] for row in zip(*columns)]


def check_pyarrow(path, expected):
    table = pq.read_table(path)
    columns = [plain(table.column(at)) for at in range(table.num_columns)]
    compare("pyarrow", path, rows_of(columns), expected)
    # Statistics and sort order, group by group.
    metadata = pq.read_metadata(path)
    schema = metadata.schema.to_arrow_schema()
    names = schema.names
    keys = [name for name in names if schema.field(name).metadata[b"iox::column::type"].endswith(b"::tag")]
    keys.append("time")
    start = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        sorting = [(names[one.column_index], one.descending, one.nulls_first) for one in group.sorting_columns]
        assert sorting == [(name, False, True) for name in keys], f"{path}: group {number} is sorted by {sorting}"
        for at in range(group.num_columns):
            chunk = group.column(at)
            values = columns[at][start : start + group.num_rows]
            present = [value for value in values if value is not None]
            where = f"{path}: group {number}, column {chunk.path_in_schema}"
            statistics = chunk.statistics
            assert statistics is not None and statistics.has_null_count, f"{where}: no statistics"
            assert statistics.null_count == len(values) - len(present), f"{where}: {statistics.null_count} nulls"
            if not present:
                continue
            assert statistics.has_min_max, f"{where}: no minimum and maximum"
            if names[at] == "time":
                least, most = statistics.min_raw, statistics.max_raw
            else:
                least, most = statistics.min, statistics.max
            if isinstance(present[0], str):
                # Long texts are cut: downwards for the minimum, upwards for the maximum.
                low, high = min(value.encode() for value in present), max(value.encode() for value in present)
                assert least.encode() <= low and high <= most.encode(), f"{where}: {least!r} to {most!r}"
            else:
                assert (least, most) == (min(present), max(present)), f"{where}: {least} to {most}"
            assert chunk.has_offset_index and chunk.has_column_index, f"{where}: no page index"
        start += group.num_rows
    assert start == len(expected)


def check_duckdb(path, expected, names):
    connection = duckdb.connect()
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    selected = [f"epoch_ns({name}) AS {name}" if name == '"time"' else name for name in quoted]
    source = "read_parquet('" + path.replace("'", "''") + "')"
    found = connection.execute(f"SELECT {', '.join(selected)} FROM {source}").fetchall()
    compare("DuckDB", path, rows_of(zip(*found)) if found else [], expected)
    # Filters go through statistics, page index and dictionaries.
    for at in range(len(names)):
        values = {row[at] for row in expected if row[at] is not None}
        if not values or names[at] == "time":
            continue
        kind = connection.execute(f"SELECT typeof({quoted[at]}) FROM {source} LIMIT 1").fetchone()[0]
        if kind not in ("VARCHAR", "BIGINT", "UBIGINT"):
            continue
        for value in sorted(values)[:3]:
            count = connection.execute(
                f"SELECT count(*) FROM {source} WHERE {quoted[at]} = CAST(? AS {kind})", [value]
            ).fetchone()[0]
            wanted = sum(row[at] == value for row in expected)
            assert count == wanted, f"DuckDB {path}: {count} rows with {names[at]} = {value!r} instead of {wanted}"
    times = sorted(int(row[names.index("time")]) for row in expected)
    middle = times[len(times) // 2]
    count = connection.execute(f"SELECT count(*) FROM {source} WHERE epoch_ns(time) >= {middle}").fetchone()[0]
    assert count == sum(time >= middle for time in times), f"DuckDB {path}: {count} rows from {middle} on"


def main(arguments):
    for path, dump in zip(arguments[::2], arguments[1::2]):
        with open(dump, encoding="utf-8") as lines:
            expected = [json.loads(line) for line in lines]
        check_pyarrow(path, expected)
        check_duckdb(path, expected, pq.read_schema(path).names)
    print(f"{len(arguments) // 2} files are read alike by pyarrow {pa.__version__} and DuckDB {duckdb.__version__}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssertionError as difference:
        print(difference)
        sys.exit(1)
