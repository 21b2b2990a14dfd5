// Talks to a running server with the official client for JavaScript, unmodified.
//
// Arguments: host, port, token, database; what `flight_clients.py` wrote must be there. Exit codes: 0 all well, 1 a difference,
// 77 the client is not installed where Node looks for it.

import assert from 'node:assert';
import { createRequire } from 'node:module';

const [host, port, token, database] = process.argv.slice(2);

let InfluxDBClient;
try {
  // Of a folder that GNOMON_NODE_MODULES names, or as Node finds it.
  const folder = process.env.GNOMON_NODE_MODULES;
  const require = createRequire(folder ? `${folder}/` : import.meta.url);
  ({ InfluxDBClient } = require('@influxdata/influxdb3-client'));
} catch {
  console.log('skipped: @influxdata/influxdb3-client is not installed');
  process.exit(77);
}

const client = new InfluxDBClient({ host: `http://${host}:${port}`, token, database });
try {
  const rows = [];
  for await (const row of client.query('SELECT host, n, u, usage FROM cpu ORDER BY time', database)) {
    rows.push(row);
  }
  assert.deepStrictEqual(rows.map((row) => row.host), ['a', 'b', 'c']);
  assert.deepStrictEqual(rows.map((row) => Number(row.n)), [1, 2, 3]);
  assert.deepStrictEqual(rows.map((row) => row.usage), [1.5, 2.5, 3.5]);
  assert.strictEqual(BigInt(rows[0].u), 18446744073709551615n);

  const points = [];
  for await (const point of client.queryPoints('SELECT * FROM points', database)) {
    points.push(point);
  }
  assert.strictEqual(points.length, 1);
  assert.strictEqual(points[0].getTag('host'), 'a');
  assert.strictEqual(Number(points[0].getField('v')), 7);
  assert.strictEqual(points[0].getFieldType('f'), 'float');

  const chosen = [];
  const options = { params: { host: 'b', low: 0.5 } };
  for await (const row of client.query('SELECT n FROM cpu WHERE host = $host AND usage > $low', database, options)) {
    chosen.push(Number(row.n));
  }
  assert.deepStrictEqual(chosen, [2]);

  await assert.rejects(async () => {
    for await (const row of client.query('SELECT * FROM missing', database)) {
      assert.fail(JSON.stringify(row));
    }
  }, /missing/);
} finally {
  await client.close();
}
console.log('tried: @influxdata/influxdb3-client');
