// SPDX-License-Identifier: Apache-2.0
// Node's mysql2 and mariadb (the argument): text and binary protocol, cached statements, bulk, streams, changed users.
const fs = require('fs');
const crypto = require('crypto');
const which = process.argv[2];
const path = process.env.CF_NODE_MODULES;
const [port, engine, dir] = [Number(process.env.CF_PORT), process.env.CF_ENGINE, process.env.CF_DIR];
let driver;
const ca = fs.readFileSync(process.env.CF_CA);
const statements = fs.readFileSync(process.env.CF_STATEMENTS, 'utf8').trim().split('\n');

function text(v) {
  return JSON.stringify(v, (key, value) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value && value.type === 'Buffer') return value.data.length > 500 ? crypto.createHash('sha256').update(Buffer.from(value.data)).digest('hex') : Buffer.from(value.data).toString('hex');
    return value;
  });
}
function column(c) {
  return which === 'mysql2' ? [c.name, c.orgName, c.table, c.orgTable, c.schema || c.db, c.columnType ?? c.type, c.columnLength, c.characterSet, c.flags, c.decimals]
    : [c.name(), c.orgName(), c.table(), c.orgTable(), c.db(), c.columnType ?? c.type, c.columnLength, c.collation && c.collation.index, c.flags, c.scale];
}
const connect = (o = {}) => driver.createConnection({
  host: '127.0.0.1', port, user: 'u_empty', password: '', database: 'shop', charset: 'utf8mb4', multipleStatements: true, connectTimeout: 20000,
  ...(which === 'mysql2' ? {dateStrings: true, supportBigNumbers: true, bigNumberStrings: true, rowsAsArray: true,
                            infileStreamFactory: (p) => fs.createReadStream(p), ssl: o.tls === false ? undefined : {ca}}
                         : {dateStrings: true, rowsAsArray: true, permitLocalInfile: true, allowPublicKeyRetrieval: true, ssl: o.tls === false ? false : {ca},
                            metaAsArray: true, checkDuplicate: false, trace: false}),
  ...o, tls: undefined});
const failure = (e) => console.log(' error', e.errno, e.sqlState, text((e.sqlMessage || e.message || '').slice(0, 300)));

function show(result) {
  // mysql2: [rows, fields] and, of several results, arrays of both; mariadb with metaAsArray alike.
  const [rows, fields] = result;
  if (Array.isArray(rows)) {
    const several = Array.isArray(fields) && fields.length && (Array.isArray(fields[0]) || fields.some((f) => f === undefined));
    if (several) return rows.forEach((r, i) => show([r, fields[i]]));
    (fields || []).forEach((f) => f && console.log(' column', text(column(f))));
    rows.forEach((r) => console.log(' row', text(r)));
  } else {
    console.log(' done', text(rows));
  }
}
async function run(c, sql, values, binary) {
  console.log(binary ? 'execute' : 'sql', text(typeof sql === 'string' ? sql.slice(0, 90) : sql));
  try {
    show(await (binary ? c.execute(sql, values) : c.query(sql, values)));
  } catch (e) { failure(e); }
}

async function main() {
  driver = await import(which === 'mysql2' ? `${path}/mysql2/promise.js` : `${path}/mariadb/promise.js`);
  driver = driver.default ?? driver;
  const root = await connect({user: 'root', database: undefined});
  for (const u of JSON.parse(process.env.CF_USERS)) {
    for (const tls of [true, false]) {
      if (engine === 'mysql') await run(root, 'FLUSH PRIVILEGES');  // empties the cache of caching_sha2_password
      for (const o of [{}, {}, {password: 'wrong'}, {database: 'nowhere'}]) {
        console.log('login', u.user, tls, text(o));
        try {
          const c = await connect({user: u.user, password: u.password, tls, ...o});
          await run(c, 'SELECT CURRENT_USER(), DATABASE()');
          await c.ping();
          await c.end();
        } catch (e) { failure(e); }
      }
    }
  }
  const c = await connect();
  for (const sql of statements) await run(c, sql);
  for (const round of [1, 2]) {
    for (const sql of statements) if (/^(SELECT|INSERT|UPDATE|DELETE|REPLACE|SHOW|DO)/.test(sql) && !/mysql_errno/.test(sql)) await run(c, sql, [], true);
  }
  for (const binary of [false, true]) {
    await run(c, 'SELECT ?, ?, ?, ?', ['é😀', 42, -1.5, null], binary);
    await run(c, 'INSERT INTO items (code, label, stock) VALUES (?, ?, ?)', [`mango${binary}`, "m'o\\ 😀", 5], binary);
    await run(c, 'INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)', [`mango${binary}`, 3, 'prepared'], binary);
    await run(c, 'UPDATE orders SET item = ? WHERE item = ?', ['fig', `mango${binary}`], binary);
    await run(c, 'SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id', ['fig'], binary);
    await run(c, 'INSERT INTO orders (item, quantity) VALUES (?, ?)', ['nothing', 1], binary);
    await run(c, 'CALL p_sets(?)', [5], binary);
    await run(c, 'CALL p_fail()', [], binary);
    await run(c, 'INSERT INTO blobs (v) VALUES (?)', [crypto.createHash('sha512').update('x').digest()], binary);
    await run(c, 'SELECT v FROM blobs ORDER BY id', [], binary);
  }
  await run(c, "CALL p_out(21, @b, @c)");
  await run(c, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT 4 AS four");
  await run(c, "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3");
  // Pipelined: several are under way at once.
  const all = await Promise.all([...Array(20).keys()].map((i) => c.query(`SELECT ${i}, code FROM items ORDER BY code LIMIT 1`)));
  all.forEach((r) => show(r));
  const mixed = await Promise.allSettled([c.query('SELECT 1'), c.query('SELECT nothing FROM items'), c.execute('SELECT ? + 1', [1]),
    c.query("INSERT INTO orders (item, quantity) VALUES ('fig', 5)"), c.query('SELECT LAST_INSERT_ID() > 0')]);
  mixed.forEach((r) => (r.status === 'fulfilled' ? show(r.value) : failure(r.reason)));
  if (which === 'mariadb') {
    for (const [table, bulk] of [['orders (item, quantity)', false], ['orders (item, quantity)', true], ['texts (b, a)', true]]) {
      const d = await connect({bulk});
      console.log('batch', text(await d.batch(`INSERT INTO ${table} VALUES (?, ?)`, [['fig', 1], ['kiwi', 2], [null, 3]])));
      try { await d.batch('INSERT INTO narrow (w, n) VALUES (?, ?)', [['a', 101], ['b', 102], ['c', 102]]); } catch (e) { failure(e); }
      await d.end();
    }
  }
  await c.beginTransaction();
  await run(c, "DELETE FROM orders WHERE item = 'fig'");
  await c.rollback();
  await run(c, "SELECT COUNT(*) FROM orders WHERE item = 'fig'");
  fs.writeFileSync(`${dir}/texts.csv`, [...Array(2000).keys()].map((i) => `${i},text ${i} é😀,${i % 3 ? '' : '\\N'}\n`).join(''));
  const load = `LOAD DATA LOCAL INFILE '${dir}/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','`;
  await run(c, load);
  await run(c, 'SELECT COUNT(*), SUM(a), COUNT(c) FROM texts');
  const large = Buffer.alloc(17 << 20, 'large 😀 ');
  for (const binary of [false, true]) {
    await run(c, 'INSERT INTO blobs (v) VALUES (?)', [large], binary);
    const [rows] = await (binary ? c.execute('SELECT v FROM blobs ORDER BY id DESC LIMIT 1') : c.query('SELECT v FROM blobs ORDER BY id DESC LIMIT 1'));
    console.log(' back', Buffer.compare(rows[0][0], large));
  }
  let n = 0;
  const stream = which === 'mysql2' ? c.connection.query('SELECT REPEAT("r", 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f').stream()
    : c.queryStream('SELECT REPEAT("r", 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f');
  for await (const row of stream) n += row[0].length;
  console.log(' streamed', n);
  for (const u of JSON.parse(process.env.CF_USERS)) {
    try {
      await c.changeUser({user: u.user, password: u.password, database: 'other'});
      await run(c, 'SELECT CURRENT_USER(), DATABASE(), @b');
      await run(c, 'SELECT COUNT(*) FROM shop.items');
    } catch (e) { failure(e); }
  }
  const d = await connect();
  await run(d, 'SET @x = 5');
  await run(d, 'SELECT ?', [1], true);
  try { await d.reset(); } catch (e) { console.log(' reset', e.message); }
  await run(d, 'SELECT @x, DATABASE()');
  await run(d, 'SELECT code FROM items WHERE code = ?', ['fig'], true);
  const victim = await connect();
  victim.on('error', () => {});
  await run(d, 'KILL ?', [victim.threadId]);
  try { await victim.query('SELECT 1'); } catch (e) { console.log(' killed', Boolean(e.fatal || e.code)); }
  await d.end();
  await root.end();
  try { await c.end(); } catch (e) { console.log(' end', e.code); }
  console.log('end');
  process.exit(0);
}
main().catch((e) => { console.log('failed', e); process.exit(1); });
