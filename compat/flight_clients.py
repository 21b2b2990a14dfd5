#!/usr/bin/env python3
"""Talks to a running server with the Arrow Flight clients that people use, unmodified.

Arguments: host, port, token, database. The database must exist and be empty: everything is written here. Each client is tried that
can be imported; those that cannot are named on the last line. Exit codes: 0 all well, 1 a difference, 77 no client at all.
With the further argument `--all` a missing client is a difference.
"""

import datetime
import importlib
import json
import sys
import time
import urllib.request

HOST, PORT, TOKEN, DATABASE = sys.argv[1:5]
ALL = "--all" in sys.argv[5:]

LINES = "\n".join(
    [
        'cpu,host=a,region=x usage=1.5,n=1i,u=18446744073709551615u,s="one",b=true 1000000000',
        'cpu,host=b usage=2.5,n=2i,u=2u,s="two",b=false 2000000000',
        'cpu,host=c usage=3.5,n=3i 3000000000',
        'points,host=a v=7i,f=0.5 1000000000',
    ]
)


def same(what, found, expected):
    assert found == expected, f"{what}: {found!r} instead of {expected!r}"


def write():
    request = urllib.request.Request(
        f"http://{HOST}:{PORT}/api/v3/write_lp?db={DATABASE}&precision=nanosecond",
        data=LINES.encode(),
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    same("write", urllib.request.urlopen(request).status, 204)


def influxdb_client_3():
    """The official client for Python."""
    module = importlib.import_module("influxdb_client_3")
    with module.InfluxDBClient3(host=f"http://{HOST}:{PORT}", token=TOKEN, database=DATABASE) as client:
        table = client.query("SELECT * FROM cpu ORDER BY time")
        same("columns", table.column_names, ["b", "host", "n", "region", "s", "time", "u", "usage"])
        same("hosts", table["host"].to_pylist(), ["a", "b", "c"])
        same("unsigned", table["u"].to_pylist(), [18446744073709551615, 2, None])
        same("tag type", str(table.schema.field("host").type), "string")
        same("time type", str(table.schema.field("time").type), "timestamp[ns]")
        kind = table.schema.field("host").metadata[b"iox::column::type"]
        same("tag metadata", kind, b"iox::column_type::tag")
        table = client.query(
            "SELECT n FROM cpu WHERE host = $host AND usage > $low",
            query_parameters={"host": "b", "low": 0.5},
        )
        same("parameters", table["n"].to_pylist(), [2])
        frame = client.query("SELECT host, usage FROM cpu ORDER BY host", mode="pandas")
        same("pandas", list(frame["usage"]), [1.5, 2.5, 3.5])
        chunks = client.query("SELECT n FROM cpu", mode="chunk")
        rows = 0
        while True:
            try:
                rows += chunks.read_chunk().data.num_rows
            except StopIteration:
                break
        same("chunks", rows, 3)
        for statement, part in [("SELECT nothing FROM cpu", "nothing"), ("SELECT * FROM missing", "missing")]:
            try:
                client.query(statement)
            except Exception as error:
                assert part in str(error), error
            else:
                raise AssertionError(f"{statement} did not fail")
    with module.InfluxDBClient3(host=f"http://{HOST}:{PORT}", token="apiv3_wrong", database=DATABASE) as client:
        try:
            client.query("SELECT 1")
        except Exception as error:
            assert "nauthenticated" in str(error), error
        else:
            raise AssertionError("a wrong token was accepted")


def pyarrow_flight():
    """The client that others are made of: tickets, a handshake, a deadline, compression."""
    flight = importlib.import_module("pyarrow.flight")
    bearer = [(b"authorization", f"Bearer {TOKEN}".encode())]

    def ticket(statement, **more):
        fields = {"database": DATABASE, "sql_query": statement, "query_type": "sql", **more}
        return flight.Ticket(json.dumps(fields).encode())

    with flight.FlightClient(f"grpc+tcp://{HOST}:{PORT}") as client:
        options = flight.FlightCallOptions(headers=bearer)
        table = client.do_get(ticket("SELECT n FROM cpu ORDER BY n"), options).read_all()
        same("rows", table["n"].to_pylist(), [1, 2, 3])
        table = client.do_get(ticket("SELECT n FROM cpu WHERE false"), options).read_all()
        same("no rows", (table.num_rows, table.column_names), (0, ["n"]))
        header, value = client.authenticate_basic_token("anyone", TOKEN)
        same("handshake", (header, value), (b"authorization", f"Bearer {TOKEN}".encode()))
        keep = flight.FlightCallOptions(headers=bearer + [(b"x-influxdata-dictionary", b"keep")])
        table = client.do_get(ticket("SELECT host FROM cpu ORDER BY host"), keep).read_all()
        same("dictionary", str(table.schema.field("host").type), "dictionary<values=string, indices=int32, ordered=0>")
        same("values", table["host"].to_pylist(), ["a", "b", "c"])
        for codec in (b"lz4", b"zstd"):
            pressed = flight.FlightCallOptions(headers=bearer + [(b"x-influxdata-ipc-compression", codec)])
            table = client.do_get(ticket("SELECT value FROM generate_series(1, 20000)"), pressed).read_all()
            same("compressed rows", table.num_rows, 20000)
        for failing, kind in [
            (ticket("SELEC"), ValueError),
            (flight.Ticket(b"nonsense"), ValueError),
            (ticket("SELECT 1/0"), ValueError),
            (ticket("SELECT 1", database="nowhere"), KeyError),
        ]:
            try:
                client.do_get(failing, options).read_all()
            except kind:
                pass
            else:
                raise AssertionError("a failure is missing")
        slow = flight.FlightCallOptions(headers=bearer, timeout=0.5)
        started = time.monotonic()
        try:
            client.do_get(ticket("SELECT count(*) FROM generate_series(1, 1000000000000) AS a WHERE value % 7 = 3"), slow).read_all()
        except flight.FlightTimedOutError:
            assert time.monotonic() - started < 20
        else:
            raise AssertionError("the deadline was missed")
        # More rows than fit one message; a client that leaves in the middle does no harm.
        reader = client.do_get(ticket("SELECT value, repeat('x', 100) AS s FROM generate_series(1, 300000)"), options)
        reader.read_chunk()
        reader.cancel()
        table = client.do_get(ticket("SELECT count(*) AS n FROM cpu"), options).read_all()
        same("afterwards", table["n"].to_pylist(), [3])


def adbc_driver_flightsql():
    """ADBC: Flight SQL with prepared statements and metadata."""
    dbapi = importlib.import_module("adbc_driver_flightsql.dbapi")
    pyarrow = importlib.import_module("pyarrow")
    options = {
        "adbc.flight.sql.authorization_header": f"Bearer {TOKEN}",
        "adbc.flight.sql.rpc.call_header.database": DATABASE,
    }
    with dbapi.connect(f"grpc+tcp://{HOST}:{PORT}", db_kwargs=options, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT host, usage FROM cpu ORDER BY time")
            same("rows", cursor.fetchall(), [("a", 1.5), ("b", 2.5), ("c", 3.5)])
            cursor.execute("SELECT * FROM cpu")
            same("table", cursor.fetch_arrow_table().num_rows, 3)
            for statement, values, expected in [
                ("SELECT n FROM cpu WHERE host = $1 AND usage > $2", ("b", 0.5), [(2,)]),
                ("SELECT n FROM cpu WHERE host = ? OR n = ? ORDER BY n", ("a", 3), [(1,), (3,)]),
                ("SELECT n FROM cpu WHERE n > ? ORDER BY n LIMIT ?", (0, 2), [(1,), (2,)]),
                ("SELECT $1 AS value", ("text",), [("text",)]),
                ("SELECT n FROM cpu WHERE n = ?", (None,), []),
            ]:
                cursor.execute(statement, values)
                same(statement, cursor.fetchall(), expected)
            since = datetime.datetime(1970, 1, 1, 0, 0, 2)
            cursor.execute("SELECT n FROM cpu WHERE time >= ? ORDER BY n", (since,))
            same("a time", cursor.fetchall(), [(2,), (3,)])
            rows = pyarrow.record_batch({"0": ["a", "c"]})
            cursor.execute("SELECT n FROM cpu WHERE host = ?", rows)
            same("two rows of values", cursor.fetchall(), [(1,), (3,)])
            cursor.executemany("DELETE FROM cpu WHERE host = ?", [("d",), ("e",)])
            same("rows that are gone", cursor.rowcount, 0)
            for statement, expected in GRAFANA:
                cursor.execute(statement)
                same(statement, cursor.fetchall(), expected)
            cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'iox'")
            assert cursor.fetchall()[0][0] >= 1
            for statement in ["SELEC", "SELECT * FROM missing", "CREATE TABLE t (a INT)"]:
                try:
                    cursor.execute(statement)
                except dbapi.Error as error:
                    assert "INVALID_ARGUMENT" in str(error) or "InvalidArgument" in str(error), error
                else:
                    raise AssertionError(f"{statement} did not fail")
        info = connection.adbc_get_info()
        same("vendor", (info["vendor_name"], info["vendor_version"]), ("InfluxDB IOx", "2"))
        same("table types", sorted(connection.adbc_get_table_types()), ["BASE TABLE", "VIEW"])
        schema = connection.adbc_get_table_schema("cpu", db_schema_filter="iox")
        same("columns", schema.names, ["b", "host", "n", "region", "s", "time", "u", "usage"])
        objects = connection.adbc_get_objects(depth="all", db_schema_filter="iox", table_name_filter="cpu")
        objects = objects.read_all().to_pylist()
        same("catalog", [entry["catalog_name"] for entry in objects], ["public"])
        [table] = objects[0]["catalog_db_schemas"][0]["db_schema_tables"]
        same("objects", len(table["table_columns"]), 8)
    options["adbc.flight.sql.authorization_header"] = "Bearer apiv3_wrong"
    try:
        with dbapi.connect(f"grpc+tcp://{HOST}:{PORT}", db_kwargs=options, autocommit=True) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
    except dbapi.Error as error:
        assert "nauthenticated" in str(error).lower() or "UNAUTHENTICATED" in str(error), error
    else:
        raise AssertionError("a wrong token was accepted")


def flightsql():
    """flightsql-dbapi, on which the dialect for SQLAlchemy stands; it goes on with the handle from before it bound values."""
    module = importlib.import_module("flightsql")
    client = module.FlightSQLClient(
        host=HOST, port=int(PORT), token=TOKEN, insecure=True, metadata={"database": DATABASE},
        features={"metadata-reflection": "true", "prepared-statements": "true"},
    )
    connection = module.connect(client)
    cursor = connection.cursor()
    cursor.execute("SELECT host FROM cpu ORDER BY host")
    same("rows", [tuple(row) for row in cursor.fetchall()], [("a",), ("b",), ("c",)])
    cursor.execute("SELECT n FROM cpu WHERE host = ? AND n = ?", ["b", 2])
    same("values", [tuple(row) for row in cursor.fetchall()], [(2,)])
    info = client.get_sql_info([0, 2, 3, 504])
    rows = client.do_get(info.endpoints[0].ticket).read_all()
    same("facts", rows["info_name"].to_pylist(), [0, 2, 3, 504])
    user = module.FlightSQLClient(
        host=HOST, port=int(PORT), user="anyone", password=TOKEN, insecure=True, metadata={"database": DATABASE}
    )
    info = user.execute("SELECT 1 AS one")
    same("by password", user.do_get(info.endpoints[0].ticket).read_all()["one"].to_pylist(), [1])


def sqlalchemy():
    """The dialect for SQLAlchemy before 2, with which Superset browses."""
    importlib.import_module("flightsql.sqlalchemy")
    module = importlib.import_module("sqlalchemy")
    engine = module.create_engine(
        f"datafusion+flightsql://{HOST}:{PORT}?insecure=True&token={TOKEN}&database={DATABASE}"
    )
    with engine.connect() as connection:
        rows = connection.execute(module.text("SELECT host, n FROM cpu ORDER BY n")).fetchall()
        same("rows", [tuple(row) for row in rows], [("a", 1), ("b", 2), ("c", 3)])
    inspector = module.inspect(engine)
    same("schemas", inspector.get_schema_names(), ["information_schema", "iox", "system"])
    same("tables", inspector.get_table_names(schema="iox"), ["cpu", "points"])
    columns = [column["name"] for column in inspector.get_columns("cpu", schema="iox")]
    same("columns", columns, ["b", "host", "n", "region", "s", "time", "u", "usage"])


# What Grafana makes of its macros and of its builder, with the rows that must come.
BETWEEN = "time >= '1970-01-01T00:00:00Z' AND time <= '1970-01-01T00:01:00Z'"
GRAFANA = [
    ("select 1", [(1,)]),
    (
        "SELECT date_bin(interval '60 second', time, timestamp '1970-01-01T00:00:00Z') as time_binned, avg(usage) "
        f"FROM cpu WHERE {BETWEEN} GROUP BY date_bin(interval '60 second', time, timestamp '1970-01-01T00:00:00Z')",
        [(datetime.datetime(1970, 1, 1), 2.5)],
    ),
    (
        "SELECT datepart('minute', time),datepart('hour', time),datepart('day', time),count(*) FROM cpu "
        "WHERE time >= cast('1970-01-01T00:00:00Z' as timestamp) "
        "GROUP BY datepart('minute', time),datepart('hour', time),datepart('day', time)",
        [(0, 0, 1, 3)],
    ),
    (
        'SELECT "host", "usage" FROM "cpu" WHERE "time" >= cast(\'1970-01-01T00:00:00Z\' as timestamp) AND "time" <= '
        "cast('1970-01-01T00:01:00Z' as timestamp) ORDER BY \"usage\" DESC LIMIT 1",
        [("c", 3.5)],
    ),
    (
        # What is left of an interval below one second.
        "SELECT date_bin(interval '0 second', time, timestamp '1970-01-01T00:00:00Z') as time_binned, sum(n) FROM cpu "
        f"WHERE {BETWEEN} GROUP BY date_bin(interval '0 second', time, timestamp '1970-01-01T00:00:00Z') ORDER BY time_binned",
        [(datetime.datetime(1970, 1, 1, 0, 0, n), n) for n in (1, 2, 3)],
    ),
    (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY table_name",
        [("cpu",), ("points",)],
    ),
    (
        "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
        [("information_schema",), ("iox",), ("system",)],
    ),
    (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'cpu' "
        "AND data_type = 'Float64'",
        [("usage",)],
    ),
]

CLIENTS = [
    ("influxdb_client_3", influxdb_client_3),
    ("pyarrow.flight", pyarrow_flight),
    ("adbc_driver_flightsql.dbapi", adbc_driver_flightsql),
    ("flightsql", flightsql),
    ("flightsql.sqlalchemy", sqlalchemy),
]


def main():
    write()
    tried, missing = [], []
    for module, client in CLIENTS:
        try:
            importlib.import_module(module)
        except ImportError as reason:
            missing.append(module)
            print(f"skipped: {module} is not installed ({reason})")
            continue
        client()
        tried.append(module)
    print(f"tried: {', '.join(tried) or 'none'}")
    if missing and ALL:
        return 1
    return 0 if tried else 77


if __name__ == "__main__":
    sys.exit(main())
