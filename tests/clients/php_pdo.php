<?php
// SPDX-License-Identifier: Apache-2.0
// PDO, with prepared statements emulated and on the server; see php_client.php.
function connect(string $user = 'u_empty', string $password = '', bool $tls = true, string $db = 'shop', array $more = []) {
  global $port, $ca;
  $options = $more + [PDO::MYSQL_ATTR_LOCAL_INFILE => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_SILENT];
  if ($tls) $options += [PDO::MYSQL_ATTR_SSL_CA => $ca];
  try {
    return new PDO("mysql:host=127.0.0.1;port=$port;dbname=$db;charset=utf8mb4", $user, $password, $options);
  } catch (PDOException $e) {
    line(' error', $e->getCode(), value($e->getMessage()));
    return null;
  }
}
function result($s): void {
  do {
    for ($i = 0; $i < $s->columnCount(); ++$i) {
      $m = $s->getColumnMeta($i);
      if (is_array($m)) ksort($m);
      line(' column', json_encode($m, JSON_UNESCAPED_UNICODE));
    }
    if ($s->columnCount()) foreach ($s->fetchAll(PDO::FETCH_NUM) as $row) line(' row', implode('|', array_map('value', $row)));
    line(' count', $s->rowCount());
    try {
      $more = $s->nextRowset();
    } catch (PDOException $e) {
      line(' next', value($e->getMessage()));
      $more = false;
    }
  } while ($more);
  if ($s->errorCode() !== '00000') line(' error', value(implode(' ', $s->errorInfo())));
}
function run($c, string $sql, ?array $values = null): void {
  line('sql', value(substr($sql, 0, 90)));
  $s = $values === null ? $c->query($sql) : $c->prepare($sql);
  if (!$s) {
    line(' error', value(implode(' ', $c->errorInfo())));
    return;
  }
  if ($values !== null && !$s->execute($values)) {
    line(' error', value(implode(' ', $s->errorInfo())));
    return;
  }
  result($s);
  line(' id', $c->lastInsertId());
}

foreach ($users as $u) {
  foreach ([true, false] as $tls) {
    line('login', $u['user'], $tls ? 'tls' : 'clear');
    if ($c = connect($u['user'], $u['password'], $tls)) {
      run($c, 'SELECT CURRENT_USER(), DATABASE()');
      line(' version', $c->getAttribute(PDO::ATTR_SERVER_VERSION), $c->getAttribute(PDO::ATTR_CONNECTION_STATUS));
    }
    connect($u['user'], 'wrong', $tls);
    connect($u['user'], $u['password'], $tls, 'nowhere');
  }
}
foreach ([true, false] as $emulated) {
  $c = connect('u_empty', '', $emulated, 'shop', [PDO::ATTR_EMULATE_PREPARES => $emulated]);
  line($emulated ? 'emulated' : 'on the server');
  foreach ($statements as $sql) run($c, $sql);
  foreach ($statements as $sql) if (preg_match('/^(SELECT|INSERT|UPDATE|DELETE|REPLACE)/', $sql)) run($c, $sql, []);
  run($c, 'SELECT ?, ?, ?', ['text é 😀', 42, null]);
  run($c, 'INSERT INTO items (code, label, stock) VALUES (:code, :label, :stock)', ['code' => "mango$emulated", 'label' => "m'o\\ 😀", 'stock' => 5]);
  run($c, 'INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)', ["mango$emulated", 3, 'prepared']);
  run($c, 'UPDATE orders SET item = ? WHERE item = ?', ['fig', "mango$emulated"]);
  run($c, 'SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id', ['fig']);
  run($c, 'INSERT INTO orders (item, quantity) VALUES (?, ?)', ['nothing', 1]);
  foreach (['CALL p_sets(5)', "SET @b = 0, @c = 'c'", 'CALL p_out(21, @b, @c)', 'SELECT @b, @c', 'CALL p_fail()', 'CALL p_nothing()'] as $sql) run($c, $sql);
  run($c, 'CALL p_sets(?)', [5]);
  run($c, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT 4");
  $c->beginTransaction();
  run($c, "DELETE FROM orders WHERE item = 'fig'");
  line(' in transaction', var_export($c->inTransaction(), true), var_export($c->rollBack(), true), var_export($c->inTransaction(), true));
  run($c, "SELECT COUNT(*) FROM orders WHERE item = 'fig'");
  run($c, "LOAD DATA LOCAL INFILE '$dir/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','");
  $s = $c->prepare('INSERT INTO blobs (v) VALUES (?)');
  $s->bindParam(1, $large, PDO::PARAM_LOB);
  line(' sent', var_export($s->execute(), true));
  $s = $c->query('SELECT v FROM blobs ORDER BY id DESC LIMIT 1');
  line(' back', $s->fetchColumn() === $large ? 'equal' : 'different');
  $s->closeCursor();
  $c->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
  $s = $c->query('SELECT REPEAT("r", 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f');
  $n = 0;
  while ($row = $s->fetch(PDO::FETCH_NUM)) $n += strlen($row[0]);
  line(' streamed', $n);
}
