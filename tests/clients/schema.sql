-- SPDX-License-Identifier: Apache-2.0
-- What the clients' programs work on; loaded anew, directly, before every run. `items` and `orders` are the tables of
-- the migration that is configured for the last run.
DROP DATABASE IF EXISTS shop;
DROP DATABASE IF EXISTS other;
DROP DATABASE IF EXISTS test;
CREATE DATABASE test;  -- mysql_client_test begins there
CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE other DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE shop;
CREATE TABLE items (code varchar(40) NOT NULL PRIMARY KEY, label varchar(60) NOT NULL, stock int NOT NULL DEFAULT 0);
CREATE TABLE orders (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, item varchar(40) NULL, quantity int NOT NULL,
  note longtext NULL, CONSTRAINT order_item FOREIGN KEY (item) REFERENCES items (code) ON UPDATE CASCADE);
INSERT INTO items VALUES ('apple','Apple',10),('pear','Pear',20),('fig','Fig',0),('kiwi','Ki''wi \\ "x"',7),('über','Übung 😀',3);
INSERT INTO orders (item, quantity, note) VALUES ('apple',1,'first'),('pear',2,NULL),('fig',3,'fig 😀'),('apple',4,''),(NULL,5,'none');

CREATE TABLE kinds (id int NOT NULL PRIMARY KEY,
  t tinyint, tu tinyint unsigned, s smallint, m mediumint, i int, iu int unsigned, b bigint, bu bigint unsigned,
  d decimal(30,10), f float, g double, bits bit(13), y year, da date, ti time(6), dt datetime(6), ts timestamp(6) NULL,
  c char(10), v varchar(100), bi binary(4), vb varbinary(50), tt tinytext, te text, tb tinyblob, bl blob, lb longblob,
  e enum('red','green','blue'), st set('a','b','c'), j json, geo point);
INSERT INTO kinds VALUES
 (1, -128,255,-32768,-8388608,-2147483648,4294967295,-9223372036854775808,18446744073709551615,
  12345678901234567890.0123456789,1.5,-2.5e300,b'1010101010101',2026,'2026-11-22','-838:59:58.123456','2026-11-22 01:02:03.000004',
  '2026-11-22 01:02:03.5','char','varchar 😀 é',X'00FF0041',X'00275C22FF','tiny','text\n\r\0\Z\\','tinyblob',X'DEADBEEF00',REPEAT('x',300),
  'green','a,c','{"a": [1, 2.5, null, "é"], "b": {"c": true}}',ST_GeomFromText('POINT(1 2)')),
 (2, NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (3, 127,0,32767,8388607,2147483647,0,9223372036854775807,0,-0.0000000001,-3.25,1e-300,b'0',1901,'1000-01-01','00:00:00','9999-12-31 23:59:59.999999',
  '2001-01-01 00:00:01','','',X'00',X'','','','','','','red','','[]',ST_GeomFromText('POINT(-1.5 0)'));

CREATE TABLE wares (code varchar(40) NOT NULL PRIMARY KEY, stock int NOT NULL);
INSERT INTO wares VALUES ('apple',10),('pear',20),('fig',0);
CREATE TABLE blobs (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, v longblob);
CREATE TABLE texts (a int, b varchar(60), c varchar(60) NULL);
CREATE TABLE narrow (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, n tinyint NOT NULL, w varchar(3), UNIQUE KEY (n));

DELIMITER $$
CREATE PROCEDURE p_out (IN a int, OUT b bigint, INOUT c varchar(40))
BEGIN
  SET b = a * 2, c = CONCAT(c, '-', a);
END $$
CREATE PROCEDURE p_sets (IN n int)
BEGIN
  SELECT code, stock FROM wares WHERE stock > n ORDER BY code;
  SELECT COUNT(*) AS wares, SUM(stock) AS pieces FROM wares;
END $$
CREATE PROCEDURE p_fail ()
BEGIN
  SELECT 1 AS before_it;
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'our own é error', MYSQL_ERRNO = 4711;
END $$
CREATE FUNCTION f_twice (n int) RETURNS int DETERMINISTIC RETURN n * 2 $$
DELIMITER ;
