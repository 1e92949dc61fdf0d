-- SPDX-License-Identifier: Apache-2.0
-- A schema with everything a dump has to carry; see dump_client.py.
DROP DATABASE IF EXISTS store;
CREATE DATABASE store DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE store;
CREATE TABLE customer (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL COMMENT 'it''s "quoted"', born date, photo blob,
  doubled int GENERATED ALWAYS AS (id_no * 2) STORED, id_no int NOT NULL DEFAULT 7, UNIQUE KEY (name), CHECK (id_no > 0)) COMMENT='customers é';
CREATE TABLE parcel (id bigint unsigned NOT NULL AUTO_INCREMENT, customer int NULL, weight decimal(8,3) DEFAULT 1.5, made timestamp NOT NULL DEFAULT '2026-01-02 03:04:05',
  body json, PRIMARY KEY (id, made), KEY who (customer)) PARTITION BY RANGE (UNIX_TIMESTAMP(made)) (PARTITION p0 VALUES LESS THAN (1800000000), PARTITION p1 VALUES LESS THAN MAXVALUE);
CREATE TABLE history (what varchar(200), number int);
CREATE VIEW heavy AS SELECT c.name, p.weight FROM customer c JOIN parcel p ON p.customer = c.id WHERE p.weight > 2 WITH CHECK OPTION;
CREATE VIEW counted AS SELECT COUNT(*) AS n, MAX(weight) AS most FROM heavy;
DELIMITER //
CREATE TRIGGER parcel_added AFTER INSERT ON parcel FOR EACH ROW BEGIN
  INSERT INTO history VALUES (CONCAT('parcel; ', NEW.id, ' // é'), NEW.id);
END//
CREATE TRIGGER customer_changed BEFORE UPDATE ON customer FOR EACH ROW SET NEW.name = UPPER(NEW.name)//
CREATE PROCEDURE send (IN who int, OUT number bigint) COMMENT 'sends; it' BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  INSERT INTO parcel (customer) VALUES (who);
  SET number = LAST_INSERT_ID();
END//
CREATE FUNCTION label (n int) RETURNS varchar(40) DETERMINISTIC RETURN CONCAT('#', n, 'é')//
CREATE EVENT cleaning ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE COMMENT 'later' DO BEGIN DELETE FROM history WHERE number < 0; END//
DELIMITER ;
INSERT INTO customer (name, born, photo, id_no) VALUES ('Ann','1980-02-29',X'00FF27225C0A',1),('Bo 😀',NULL,NULL,2),('C''é "x"\n\t\\','2001-01-01','',3),('D',NULL,NULL,4);
INSERT INTO parcel (customer, weight, body) VALUES (1,2.5,'{"a": [1, "é"]}'),(2,0.001,NULL),(NULL,99999.999,'[]'),(3,3,'"text"');
UPDATE customer SET born = '1999-09-09' WHERE id = 4;
CALL send(2, @n);
