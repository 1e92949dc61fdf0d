<?php
// SPDX-License-Identifier: Apache-2.0
// PHP on mysqlnd: mysqli and PDO (the argument).
mysqli_report(MYSQLI_REPORT_OFF);
[$port, $engine, $dir, $ca] = [(int) getenv('CF_PORT'), getenv('CF_ENGINE'), getenv('CF_DIR'), getenv('CF_CA')];
$users = json_decode(getenv('CF_USERS'), true);
$statements = file(getenv('CF_STATEMENTS'), FILE_IGNORE_NEW_LINES);

function value($v): string {
  if ($v === null) return 'NULL';
  if (is_string($v) && strlen($v) > 1000) return 'sha ' . hash('sha256', $v) . ' of ' . strlen($v);
  return is_string($v) ? addcslashes($v, "\0..\37\177..\377\\") : var_export($v, true);
}
function line(string ...$words): void { echo implode(' ', $words), "\n"; }
file_put_contents("$dir/texts.csv", implode('', array_map(fn($i) => "$i,text $i é😀," . ($i % 3 ? '' : '\N') . "\n", range(0, 1999))) . "not a number,x,y,z\n");
$large = str_repeat(implode('', array_map('chr', range(0, 255))), 17 * 4096);

require __DIR__ . "/php_{$argv[1]}.php";
line('end');
