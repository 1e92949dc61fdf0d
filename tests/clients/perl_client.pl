# SPDX-License-Identifier: Apache-2.0
# DBD::mysql and DBD::MariaDB (the argument): text and server-side prepared statements through DBI.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use Digest::SHA qw(sha256_hex);
use JSON::PP;
binmode(STDOUT, ':utf8');
$| = 1;

my ($driver) = @ARGV;
my $prefix = lc $driver;
my ($port, $engine, $dir) = @ENV{qw(CF_PORT CF_ENGINE CF_DIR)};

sub value {
  my ($v) = @_;
  return 'NULL' unless defined $v;
  return 'sha ' . sha256_hex($v) . ' of ' . length($v) if length($v) > 1000 && !utf8::is_utf8($v);
  return length($v) . ' characters' if length($v) > 1000;
  $v =~ s/([^\x20-\x7e])/sprintf('\\x{%x}', ord $1)/ge;
  return $v;
}

sub connection {
  my (%o) = (user => 'u_empty', password => '', tls => 1, db => 'shop', @_);
  my $p = $prefix;
  my $dsn = "DBI:$driver:host=127.0.0.1;port=$port" . ($o{db} ? ";database=$o{db}" : '') . ";${p}_local_infile=1";
  $dsn .= $o{tls} ? ";${p}_ssl=1;" . ($driver eq "mysql" ? "mysql_ssl_optional=1;" : "") . "${p}_ssl_ca_file=$ENV{CF_CA};${p}_ssl_verify_server_cert=1" : '';
  $dsn .= $o{more} // '';
  return DBI->connect($dsn, $o{user}, $o{password}, {RaiseError => 0, PrintError => 0, AutoCommit => 1, $driver eq 'mysql' ? (mysql_enable_utf8mb4 => 1) : ()});
}

sub failure {
  my ($h) = @_;
  return printf " error %s %s %s\n", $DBI::err, $DBI::state, value($DBI::errstr) if $h eq 'DBI';
  printf " error %s %s %s\n", $h->err // '', $h->state // '', value($h->errstr);
}

sub result {
  my ($h) = @_;
  while (1) {
    printf " rows %s insert id %s warnings %s info %s\n", $h->rows, $h->{"${prefix}_insertid"} // '-', $h->{"${prefix}_warning_count"} // '-', $h->{Database}{"${prefix}_info"} // '-';
    if (($h->{NUM_OF_FIELDS} // 0) > 0) {
      for my $i (0 .. $h->{NUM_OF_FIELDS} - 1) {
        printf " column %s type %s length %s null %s %s\n", value($h->{NAME}[$i]), $h->{"${prefix}_type_name"}[$i], $h->{"${prefix}_length"}[$i],
          $h->{NULLABLE}[$i], join(',', map { ($h->{"${prefix}_$_"}[$i] ? 1 : 0) . $_ } qw(is_blob is_key is_num is_pri_key is_auto_increment));
      }
      while (my $row = $h->fetchrow_arrayref) { print ' row ', join('|', map { value($_) } @$row), "\n"; }
      failure($h) if $h->err;
    }
    last unless $h->more_results;
    print " next result\n";
  }
  failure($h) if $h->err;
}

sub run {
  my ($c, $sql, @parameters) = @_;
  print 'sql ', value(substr($sql, 0, 90)), "\n";
  my $h = $c->prepare($sql) or return failure($c);
  $h->execute(@parameters) or return failure($h);
  result($h);
}

my $root = connection(user => 'root', db => '');
for my $u (@{decode_json($ENV{CF_USERS})}) {
  for my $tls (1, 0) {
    run($root, 'FLUSH PRIVILEGES') if $engine eq 'mysql';    # empties the cache of caching_sha2_password
    for my $attempt (1, 2) {
      print "login $u->{user} tls $tls $attempt\n";
      my $c = connection(user => $u->{user}, password => $u->{password}, tls => $tls);
      if (!$c) { failure('DBI'); next; }
      run($c, 'SELECT CURRENT_USER(), DATABASE()');
      print ' alive ', $c->ping ? 1 : 0, "\n";
      $c->disconnect;
    }
    for my $w ({password => 'wrong'}, {user => 'nobody'}, {db => 'nowhere'}) {
      my $c = connection(user => $u->{user}, password => $u->{password}, tls => $tls, %$w);
      $c ? print "login accepted\n" : failure('DBI');
    }
  }
}

open(my $statements, '<:encoding(UTF-8)', $ENV{CF_STATEMENTS}) or die $!;
chomp(my @statements = <$statements>);
my $c = connection();
run($c, $_) for @statements;

# Server-side prepared statements; those the protocol cannot prepare are sent as text by the driver itself.
print "prepared\n";
my $p = connection(more => ";${prefix}_server_prepare=1");
run($p, $_) for grep { /^(SELECT|INSERT|UPDATE|DELETE|REPLACE)/ && !/HEX\(label/ } @statements;
run($p, 'SELECT ?, ?, ?, ?', 'text é 😀', 42, -1.5, undef);
run($p, 'INSERT INTO items (code, label, stock) VALUES (?, ?, ?)', 'mango', "m'o\\ 😀", 5);
run($p, 'INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)', 'mango', 3, 'prepared');
run($p, 'UPDATE orders SET item = ? WHERE item = ?', 'fig', 'mango');
run($p, 'SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id', 'fig');
{
  my $h = $p->prepare('INSERT INTO orders (item, quantity) VALUES (?, ?)');
  for my $row (['fig', 1], ['nothing', 2], [undef, 3], ['kiwi', 4]) {
    $h->execute(@$row) ? printf(" executed %s %s\n", $h->rows, $p->{"${prefix}_insertid"}) : failure($h);
  }
  my $s = $p->prepare('SELECT quantity FROM orders WHERE item = ? ORDER BY id');
  for my $code ('fig', 'kiwi', 'nothing') { $s->execute($code); print ' quantities ', join(',', map { $_->[0] } @{$s->fetchall_arrayref}), "\n"; }
  $h = $p->prepare('INSERT INTO blobs (v) VALUES (?)');
  $h->bind_param(1, join('', map { chr } 0 .. 255) x 10, SQL_BLOB);
  $h->execute ? print(" blob\n") : failure($h);
  run($p, 'SELECT v FROM blobs ORDER BY id DESC LIMIT 1');
}

print "several\n";
my $m = connection(more => ";${prefix}_multi_statements=1");
run($m, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT quantity FROM orders WHERE quantity = 77");
run($m, "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3");
for my $sql ('CALL p_sets(5)', "SET \@b = 0, \@c = 'c'", 'CALL p_out(21, @b, @c)', 'SELECT @b, @c', 'CALL p_fail()', 'CALL p_nothing()') {
  run($m, $sql);
  run($p, $sql);
}

print "transactions\n";
$c->begin_work;
run($c, "UPDATE items SET stock = 99 WHERE code = 'fig'");
my $d = connection();
run($d, 'SET innodb_lock_wait_timeout = 1');
run($d, "UPDATE items SET stock = 1 WHERE code = 'fig'");
$c->rollback;
run($d, "SELECT stock FROM items WHERE code = 'fig'");
$c->{AutoCommit} = 0;
run($c, "DELETE FROM orders WHERE item = 'fig'");
run($d, "SELECT COUNT(*) FROM orders WHERE item = 'fig'");
$c->commit;
$c->{AutoCommit} = 1;
run($d, "SELECT COUNT(*) FROM orders WHERE item = 'fig'");

print "load\n";
open(my $file, '>:utf8', "$dir/texts.csv") or die $!;
print $file "$_,text $_ é😀,", $_ % 3 ? '' : '\N', "\n" for 0 .. 1999;
print $file "not a number,x,y,z\n";
close $file;
run($c, "LOAD DATA LOCAL INFILE '$dir/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','");
run($c, 'SHOW WARNINGS');
run($c, 'SELECT COUNT(*), SUM(a), COUNT(c) FROM texts');
run($c, "LOAD DATA LOCAL INFILE '$dir/nowhere' INTO TABLE texts");
run($c, "SELECT 'still here'");

print "large\n";
my $large = join('', map { chr } 0 .. 255) x (17 * 4096);
for my $h ($c->prepare('INSERT INTO blobs (v) VALUES (?)'), $p->prepare('INSERT INTO blobs (v) VALUES (?)')) {
  $h->bind_param(1, $large, SQL_BLOB);
  $h->execute ? print " sent\n" : failure($h);
}
for my $h ($c, $p) {
  my $rows = $h->selectall_arrayref('SELECT v FROM blobs ORDER BY id DESC LIMIT 2') or failure($h);
  print ' back ', $_->[0] eq $large ? 'equal' : 'different', "\n" for @{$rows // []};
}
my $s = $c->prepare('SELECT a.id, REPEAT("r", 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f', $driver eq 'mysql' ? {mysql_use_result => 1} : {});  # DBD::MariaDB gives no rows so, directly too
$s->execute or failure($s);
my $n = 0;
$n += length $_->[1] while ($_ = $s->fetchrow_arrayref);
print " streamed $n\n";
failure($s) if $s->err;
$s->finish;

print "session\n";
print ' tables ', join(',', map { value($_) } $c->tables(undef, 'shop', '%', 'TABLE')), "\n";
my $info = $c->column_info(undef, 'shop', 'wares', '%');
print ' columns ', join(',', map { "$_->{COLUMN_NAME} $_->{TYPE_NAME}" } @{$info->fetchall_arrayref({})}), "\n";
my $victim = connection();
run($c, 'KILL ?', $victim->{"${prefix}_thread_id"} // $victim->{mysql_thread_id});
$victim->do('SELECT 1') or print ' killed ', $victim->err, "\n";
$_->disconnect for grep { $_ } ($c, $p, $m, $d);
print "end\n";
