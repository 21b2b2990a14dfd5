// Writes with the npm library `influx` (version 1), as its users do, and checks that what it was told is true.
//
// Run by crates/cli/tests/it/client_libraries.rs with one argument, the address of a server with authentication; the token of an
// administrator is in the variable INFLUXDB3_AUTH_TOKEN. It writes to the database `npm`, which the test then reads.
// Exit codes: 0 all as expected, 1 a difference, 77 the library is missing.
"use strict";

const assert = require("node:assert");

let influx;
try {
  influx = require("influx");
} catch {
  console.log("skipped: influx is not installed");
  process.exit(77);
}

async function main(url, token) {
  const place = new URL(url);
  const connect = (password) =>
    new influx.InfluxDB({ host: place.hostname, port: Number(place.port), username: "anybody", password, database: "npm" });

  const client = connect(token);
  const [ping] = await client.ping(5000);
  assert.ok(ping.online && ping.version, "ping");
  await client.createDatabase("npm");
  await client.createDatabase("npm");
  assert.ok((await client.getDatabaseNames()).includes("npm"));
  const point = { measurement: "cpu", tags: { host: "a b,c" }, fields: { usage: 1.5, note: 'x"y' } };
  await client.writePoints([{ ...point, timestamp: new Date(10000) }]);
  await client.writePoints([{ ...point, timestamp: 20 }], { precision: "s", retentionPolicy: "autogen" });
  await assert.rejects(client.writePoints([{ measurement: "cpu", fields: { usage: "text" } }]), /invalid column type for column 'usage'/);
  await assert.rejects(client.query("SELECT * FROM cpu"), /not implemented/);
  await assert.rejects(connect("apiv3_wrong").writePoints([point]), /401/);
  // What went wrong before must not have taken the host out of the pool.
  await client.writeMeasurement("cpu", [{ tags: { host: "last" }, fields: { usage: 2.5 }, timestamp: 1 }], { precision: "m" });
}

main(process.argv[2], process.env.INFLUXDB3_AUTH_TOKEN).catch((difference) => {
  console.log(difference);
  process.exit(1);
});
