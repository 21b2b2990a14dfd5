#!/usr/bin/env python3
"""Runs the binary over the S3 of moto, which is not of our making: checks the store, writes, restarts, reads.

    compat/object_store_moto.py path/to/influxdb3

Needs `pip install 'moto[server,s3]'`. Exit codes: 0 all is well, 1 it is not, 77 moto is missing.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

try:
    import boto3
    from moto.server import ThreadedMotoServer
except ImportError as missing:
    print(missing)
    sys.exit(77)

# It tells every request otherwise.
logging.getLogger("werkzeug").setLevel(logging.ERROR)

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def serve(binary, store, folder, round_number):
    """A running server and its address."""
    listener = os.path.join(folder, f"listener-{round_number}")
    command = [binary, "serve", "--node-id", "node", "--http-bind", "127.0.0.1:0", "--without-auth"]
    command += ["--wal-flush-interval", "20ms", "--wal-files-per-snapshot", "5"]
    command += ["--tcp-listener-file-path", listener, *store]
    server = subprocess.Popen(command, env={"HOME": folder, **KEYS}, stdout=subprocess.DEVNULL)
    for _ in range(600):
        if os.path.exists(listener):
            with open(listener, encoding="utf-8") as file:
                return server, f"http://{file.read()}"
        if server.poll() is not None:
            break
        time.sleep(0.05)
    server.kill()
    raise SystemExit("the server does not start")


def post(url, body):
    with urllib.request.urlopen(urllib.request.Request(url, data=body)) as answer:
        return answer.read()


def rows(address):
    question = json.dumps({"db": "db", "q": "SELECT count(*) AS n, sum(f) AS s FROM m", "format": "json"})
    request = urllib.request.Request(f"{address}/api/v3/query_sql", data=question.encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        found = json.loads(answer.read())[0]
    return found["n"], found["s"]


def run(binary):
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="bucket")
        store = ["--object-store", "s3", "--bucket", "bucket"]
        store += ["--aws-endpoint", endpoint, "--aws-allow-http"]
        subprocess.run([binary, "debug", "object-store-check", *store], env=KEYS, check=True)
        written = 0
        with tempfile.TemporaryDirectory() as folder:
            for round_number in range(3):
                server, address = serve(binary, store, folder, round_number)
                if written:
                    assert rows(address) == (written, written * (written - 1) // 2)
                for _ in range(20):
                    line = f"m,t=a f={written}i {written}".encode()
                    post(f"{address}/api/v3/write_lp?db=db&precision=second", line)
                    written += 1
                assert rows(address) == (written, written * (written - 1) // 2)
                server.send_signal(signal.SIGTERM if round_number else signal.SIGKILL)
                server.wait(timeout=60)
        print(f"{written} rows survived two restarts")
    finally:
        moto.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    run(os.path.abspath(sys.argv[1]))
