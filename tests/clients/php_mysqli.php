<?php
// SPDX-License-Identifier: Apache-2.0
// mysqli; see php_client.php.
function connect(string $user = 'u_empty', string $password = '', bool $tls = true, ?string $db = 'shop') {
  global $port, $ca;
  $c = mysqli_init();
  $c->options(MYSQLI_OPT_LOCAL_INFILE, 1);
  if ($tls) $c->ssl_set(null, null, $ca, null, null);
  if (!@$c->real_connect('127.0.0.1', $user, $password, $db, $port, null, $tls ? MYSQLI_CLIENT_SSL : 0)) {
    line(' error', $c->connect_errno, value($c->connect_error));
    return null;
  }
  $c->set_charset('utf8mb4');
  return $c;
}
function columns($r): void {
  foreach ($r->fetch_fields() as $f) {
    line(' column', value($f->name), value($f->orgname), $f->table, $f->orgtable, $f->db, "type $f->type length $f->length max $f->max_length charset $f->charsetnr flags $f->flags decimals $f->decimals");
  }
}
function rows($r): void {
  columns($r);
  while ($row = $r->fetch_row()) line(' row', implode('|', array_map('value', $row)));
  $r->free();
}
function done($c): void {
  line(' affected', $c->affected_rows, 'id', $c->insert_id, 'warnings', $c->warning_count, 'info', value($c->info), 'errors', count($c->error_list));
  if ($c->errno) line(' error', $c->errno, $c->sqlstate, value($c->error));
}
function run($c, string $sql): void {
  line('sql', value(substr($sql, 0, 90)));
  if (!$c->multi_query($sql)) {
    done($c);
    return;
  }
  do {
    if ($r = $c->store_result()) rows($r);
    done($c);
  } while ($c->more_results() && ($c->next_result() || done($c)));
}
function prepared($c, string $sql, string $types = '', ...$values): void {
  line('prepared', value(substr($sql, 0, 90)));
  $s = $c->stmt_init();
  if (!$s->prepare($sql)) {
    line(' error', $s->errno, $s->sqlstate, value($s->error));
    return;
  }
  line(' parameters', $s->param_count, 'columns', $s->field_count);
  if ($types !== '') $s->bind_param($types, ...$values);
  foreach ([1, 2] as $round) {
    if (!$s->execute()) {
      line(' error', $s->errno, $s->sqlstate, value($s->error));
      continue;
    }
    do {
      if ($r = $s->get_result()) rows($r);
      line(' affected', $s->affected_rows, 'id', $s->insert_id);
    } while ($s->more_results() && $s->next_result());
  }
  $s->close();
}

$root = connect('root', '', true, null);
foreach ($users as $u) {
  foreach ([true, false] as $tls) {
    if ($engine === 'mysql') run($root, 'FLUSH PRIVILEGES');  // empties the cache of caching_sha2_password
    foreach ([1, 2] as $attempt) {
      line('login', $u['user'], $tls ? 'tls' : 'clear', $attempt);
      if ($c = connect($u['user'], $u['password'], $tls)) {
        run($c, 'SELECT CURRENT_USER(), DATABASE()');
        line(' version', $c->server_info, $c->protocol_version, $c->host_info);
        $c->close();
      }
    }
    foreach ([[$u['user'], 'wrong', 'shop'], ['nobody', 'x', 'shop'], [$u['user'], $u['password'], 'nowhere']] as [$user, $password, $db]) {
      if (connect($user, $password, $tls, $db)) line('login accepted');
    }
  }
}

$c = connect();
foreach ($statements as $sql) run($c, $sql);
foreach ($statements as $sql) {
  if (preg_match('/^(SELECT|INSERT|UPDATE|DELETE|REPLACE|SHOW|DO)/', $sql)) prepared($c, $sql);
}
prepared($c, 'SELECT ?, ?, ?, ?', 'sids', 'text é 😀', PHP_INT_MAX, -1.5, null);
prepared($c, 'INSERT INTO items (code, label, stock) VALUES (?, ?, ?)', 'ssi', 'mango', "m'o\\ 😀", 5);
prepared($c, 'INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)', 'sis', 'mango', 3, 'prepared');
prepared($c, 'UPDATE orders SET item = ? WHERE item = ?', 'ss', 'fig', 'mango');
prepared($c, 'SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id', 's', 'fig');
prepared($c, 'INSERT INTO orders (item, quantity) VALUES (?, ?)', 'si', 'nothing', 1);
prepared($c, 'CALL p_sets(?)', 'i', 5);
prepared($c, 'CALL p_out(?, @b, @c)', 'i', 4);
prepared($c, 'SELECT * FROM nowhere WHERE a = ?', 'i', 4);

line('long data');
foreach (['INSERT INTO blobs (v) VALUES (?)' => [], 'INSERT INTO orders (note, item, quantity) VALUES (?, ?, ?)' => ['kiwi', 7]] as $sql => $more) {
  $s = $c->prepare($sql);
  $null = null;
  $s->bind_param($more ? 'bsi' : 'b', $null, ...$more);
  foreach (str_split(str_repeat('piece', 5000), 6000) as $piece) $s->send_long_data(0, $piece);
  line(' executed', var_export($s->execute(), true), $s->affected_rows, $s->insert_id, value($s->error));
  line(' again without', var_export($s->execute(), true), value($s->error));
  $s->send_long_data(0, 'dropped');
  line(' reset', var_export($s->reset(), true));
  line(' executed', var_export($s->execute(), true), value($s->error));
}
run($c, 'SELECT item, LENGTH(note), CRC32(note) FROM orders ORDER BY id');
run($c, 'SELECT LENGTH(v), CRC32(v) FROM blobs ORDER BY id');

line('cursor');
foreach (['SELECT code, stock FROM wares ORDER BY code', 'SELECT code, stock FROM items ORDER BY code', 'SELECT item FROM orders WHERE item = ? ORDER BY id'] as $sql) {
  foreach ([1, 2] as $fetch) {
    $s = $c->prepare($sql);
    $s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
    $s->attr_set(MYSQLI_STMT_ATTR_PREFETCH_ROWS, $fetch);
    $code = 'fig';
    if ($s->param_count) $s->bind_param('s', $code);
    $s->execute();
    $a = $b = null;
    $s->field_count == 2 ? $s->bind_result($a, $b) : $s->bind_result($a);
    while ($s->fetch()) line(' row', value($a), value($b));
    line(' error', value($s->error), (string) $s->num_rows);
    $s->close();
  }
}

line('several');
run($c, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT quantity FROM orders WHERE quantity = 77");
run($c, "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3");
foreach (['CALL p_sets(5)', "SET @b = 0, @c = 'c'", 'CALL p_out(21, @b, @c)', 'SELECT @b, @c', 'CALL p_fail()', 'CALL p_nothing()', ''] as $sql) run($c, $sql ?: ' ');
line('single', var_export($c->query('SELECT 1; SELECT 2'), true), $c->errno, value($c->error));

line('transactions');
$c->begin_transaction(MYSQLI_TRANS_START_WITH_CONSISTENT_SNAPSHOT, 'name');
run($c, "UPDATE items SET stock = 99 WHERE code = 'fig'");
$c->savepoint('s');
run($c, "UPDATE items SET stock = 98 WHERE code = 'fig'");
$d = connect();
run($d, 'SET innodb_lock_wait_timeout = 1');
run($d, "UPDATE items SET stock = 1 WHERE code = 'fig'");
$c->rollback();
run($d, "SELECT stock FROM items WHERE code = 'fig'");
$c->autocommit(false);
run($c, "DELETE FROM orders WHERE item = 'fig'");
$c->commit();
$c->autocommit(true);
run($d, "SELECT COUNT(*) FROM orders WHERE item = 'fig'");

line('load');
run($c, "LOAD DATA LOCAL INFILE '$dir/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','");
run($c, 'SHOW WARNINGS');
run($c, "LOAD DATA LOCAL INFILE '$dir/nowhere' INTO TABLE texts");
run($c, "SELECT COUNT(*), SUM(a), COUNT(c) FROM texts");

line('large');
$s = $c->prepare('INSERT INTO blobs (v) VALUES (?)');
$s->bind_param('s', $large);
line(' sent', var_export($s->execute(), true), value($s->error));
run($c, "INSERT INTO blobs (v) VALUES (_binary '" . $c->real_escape_string($large) . "')");
$r = $c->query('SELECT v FROM blobs ORDER BY id DESC LIMIT 2', MYSQLI_USE_RESULT);
while ($row = $r->fetch_row()) line(' back', $row[0] === $large ? 'equal' : 'different');
$r->free();

line('session');
foreach ($users as $u) {
  line(' change user', $u['user'], var_export($c->change_user($u['user'], $u['password'], 'other'), true), value($c->error));
  run($c, 'SELECT CURRENT_USER(), DATABASE(), @b');
  run($c, 'SELECT code FROM shop.items ORDER BY code LIMIT 1');
}
$c->set_charset('utf8mb4');
line(' wrong', var_export(@$c->change_user('u_empty', 'wrong', 'shop'), true), $c->errno);
$c = connect();
line(' ping', var_export($c->ping(), true), 'stat', substr($c->stat(), 0, 6), 'select_db', var_export($c->select_db('other'), true), var_export($c->select_db('nowhere'), true), $c->error);
$c->select_db('shop');
run($c, 'SELECT DATABASE()');
run($c, 'SELECT item FROM orders WHERE id = 1');
line(' charset', json_encode($c->get_charset()));
$c->set_charset('latin1');
run($c, "SELECT label FROM items WHERE code = '\xfcber'");
$victim = connect();
line(' kill', var_export(@$c->kill($victim->thread_id), true), $c->errno);
@$c->query("KILL {$victim->thread_id}");
line(' killed', var_export(@$victim->query('SELECT 1'), true), $victim->errno);
// Asynchronous: several connections wait at once.
$all = [connect(), connect(), connect()];
foreach ($all as $i => $each) $each->query("SELECT SLEEP(0.1), $i", MYSQLI_ASYNC);
foreach ($all as $each) line(' asynchronous', implode('|', array_map('value', $each->reap_async_query()->fetch_row())));
