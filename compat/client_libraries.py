#!/usr/bin/env python3
"""Writes with the client libraries of versions 1 and 2, as their users do, and checks that what they were told is true.

Run by crates/cli/tests/it/client_libraries.rs with one argument, the address of a server with authentication; the token of an
administrator is in the variable INFLUXDB3_AUTH_TOKEN. Each library writes to a database of its own, which the test then reads.
Exit codes: 0 all as expected, 1 a difference, 77 a library is missing.
"""

import os
import sys
from urllib.parse import urlsplit

try:
    import influxdb
    import influxdb.exceptions
    import influxdb_client
    from influxdb_client.client.exceptions import InfluxDBError
    from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions
    from influxdb_client.rest import ApiException
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)

BAD_TOKEN = "apiv3_wrong"


def refused(kind, call):
    """The exception of that kind which a call has to raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{call} was not refused")


def version_1(url, token):
    place = urlsplit(url)

    def connect(password, **options):
        return influxdb.InfluxDBClient(
            place.hostname, place.port, username="anybody", password=password, database="v1", **options
        )

    client = connect(token)
    assert client.ping()
    client.create_database("v1")
    client.create_database("v1")
    names = [entry["name"] for entry in client.get_list_database()]
    assert "v1" in names, names
    point = {"measurement": "cpu", "tags": {"host": "a b,c"}, "time": 10, "fields": {"usage": 0.5, "count": 3, "note": "x\"y"}}
    assert client.write_points([point], time_precision="s")
    assert client.write_points([dict(point, time=20)], time_precision="ms", tags={"room": "kitchen"})
    assert client.write_points([dict(point, time=2)], time_precision="m", consistency="all")
    assert client.write_points(["cpu,host=line usage=1.5 30"], time_precision="n", protocol="line")
    assert client.write_points([dict(point, time=at) for at in range(40, 50)], time_precision="s", batch_size=3)
    assert client.write_points([dict(point, time=60)], time_precision="s", retention_policy="autogen")
    packed = connect(token, gzip=True)
    assert packed.ping() and packed.get_list_database()
    packed.create_database("v1")
    assert packed.write_points([dict(point, time=70)], time_precision="s")

    error = refused(influxdb.exceptions.InfluxDBClientError, lambda: client.write_points(["cpu usage=\"text\" 80"], protocol="line"))
    assert error.code == 400 and "invalid column type for column 'usage'" in error.content, error
    error = refused(influxdb.exceptions.InfluxDBClientError, lambda: client.query("SELECT * FROM cpu"))
    assert "not implemented" in str(error), error
    # All or nothing: the good line of a bad request is not kept.
    mixed = ["cpu,host=mixed usage=1.5 90", "cpu,host=mixed usage=\"text\" 91"]
    error = refused(influxdb.exceptions.InfluxDBClientError, lambda: client.write_points(mixed, protocol="line"))
    assert error.code == 400 and '"line_number":2' in error.content, error
    stranger = connect(BAD_TOKEN)
    error = refused(influxdb.exceptions.InfluxDBClientError, stranger.get_list_database)
    assert error.code == 401, error
    error = refused(influxdb.exceptions.InfluxDBClientError, lambda: stranger.write_points([point], time_precision="s"))
    assert error.code == 401, error


def version_2(url, token):
    with influxdb_client.InfluxDBClient(url, token=token, org="any") as client:
        assert client.ping()
        assert client.version()
        assert client.build() == "Core", client.build()
        health = client.health()
        assert (health.name, health.status) == ("influxdb", "pass"), health
        write = client.write_api(write_options=SYNCHRONOUS)
        precision = influxdb_client.WritePrecision
        for number, unit in enumerate([precision.S, precision.MS, precision.US, precision.NS]):
            point = influxdb_client.Point("cpu").tag("host", f"host {number}").field("usage", 0.5).time(10 + number, unit)
            write.write(bucket="v2", record=point)
        write.write(bucket="v2", record="cpu,host=line usage=1.5 20", write_precision=precision.S)
        write.write(bucket="v2", org="other", record={"measurement": "cpu", "tags": {"host": "dictionary"}, "fields": {"usage": 2.5}, "time": 30})
        with client.write_api(write_options=WriteOptions(batch_size=4, flush_interval=100, max_retries=0)) as batching:
            for at in range(10):
                batching.write(bucket="v2", record=f"cpu,host=batch usage={at}.5 {at}")

        error = refused(ApiException, lambda: write.write(bucket="v2", record="cpu usage=\"text\" 1"))
        start = "write buffer error: line protocol parse failed: invalid column type for column 'usage'"
        assert error.status == 400 and error.message.startswith(start), error
        error = refused(ApiException, lambda: write.write(bucket="", record="cpu usage=1.5 1"))
        assert (error.status, error.message) == (400, "missing bucket value"), error
        mixed = ["cpu,host=mixed usage=1.5 90", "cpu,host=mixed usage=\"text\" 91"]
        error = refused(ApiException, lambda: write.write(bucket="v2", record=mixed))
        assert error.status == 400 and "usage" in error.message, error
        error = refused(ApiException, lambda: client.delete_api().delete("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "", bucket="nowhere", org="any"))
        assert error.status == 404 and "nowhere" in error.body, error
        client.delete_api().delete("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", '_measurement="cpu" AND host="dictionary"', bucket="v2", org="any")
    with influxdb_client.InfluxDBClient(url, token=token, org="any", enable_gzip=True) as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket="v2", record="cpu,host=packed usage=3.5 40")
        batches, failures = [], []
        with client.write_api(
            write_options=WriteOptions(batch_size=4, flush_interval=100, max_retries=0),
            success_callback=lambda place, lines: batches.append(place),
            error_callback=lambda place, lines, error: failures.append(error),
        ) as batching:
            for at in range(10):
                batching.write(bucket="v2", record=f"cpu,host=packed\\ batch usage={at}.5 {at}")
            batching.write(bucket="wrong", record="cpu usage=1.5 1")
            batching.write(bucket="wrong", record="cpu usage=\"text\" 2")
        assert len(batches) >= 3, batches
        assert [error.status for error in failures] == [400], failures
    with influxdb_client.InfluxDBClient(url, token=BAD_TOKEN, org="any") as client:
        write = client.write_api(write_options=SYNCHRONOUS)
        error = refused(InfluxDBError, lambda: write.write(bucket="v2", record="cpu usage=1.5 1"))
        assert error.response.status == 401, error


def main(url):
    token = os.environ["INFLUXDB3_AUTH_TOKEN"]
    version_1(url, token)
    version_2(url, token)
    print(f"influxdb {influxdb.__version__} and influxdb-client {influxdb_client.__version__} write")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except AssertionError as difference:
        print(difference)
        sys.exit(1)
