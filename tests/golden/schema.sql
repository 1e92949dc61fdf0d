-- The tables of the golden cases, as they are before any migration. One column to a line: the runner reads them.
CREATE TABLE deb.packages (
  name varchar(100) NOT NULL,
  version varchar(100) NOT NULL,
  section varchar(50),
  size int NOT NULL DEFAULT 0,
  PRIMARY KEY (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE deb.dependencies (
  id bigint NOT NULL AUTO_INCREMENT,
  package varchar(100) NOT NULL,
  depends_on varchar(100),
  kind varchar(20) NOT NULL DEFAULT 'depends',
  PRIMARY KEY (id),
  FOREIGN KEY (package) REFERENCES packages(name) ON UPDATE CASCADE,
  FOREIGN KEY (depends_on) REFERENCES packages(name) ON UPDATE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE deb.sections (
  name varchar(50) NOT NULL,
  title varchar(100),
  parent varchar(50),
  PRIMARY KEY (name),
  FOREIGN KEY (parent) REFERENCES sections(name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE zoo.Caves (
  id char(36) NOT NULL,
  label varchar(50),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE zoo.Bears (
  id int NOT NULL AUTO_INCREMENT,
  name varchar(50),
  caveId char(36) NOT NULL DEFAULT 'home',
  PRIMARY KEY (id),
  FOREIGN KEY (caveId) REFERENCES Caves(id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE zoo.People (
  id char(36) NOT NULL,
  parent char(36),
  PRIMARY KEY (id),
  FOREIGN KEY (parent) REFERENCES People(id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE deb.customer (
  id int NOT NULL AUTO_INCREMENT,
  phone varchar(30),
  first varchar(40) NOT NULL DEFAULT '',
  last varchar(40) NOT NULL DEFAULT '',
  note varchar(100),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE deb.visits (
  id int NOT NULL,
  seen datetime NOT NULL,
  why enum('first','again') NOT NULL,
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE till.orders (
  id int NOT NULL AUTO_INCREMENT,
  note varchar(50),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE till.items (
  id int NOT NULL AUTO_INCREMENT,
  orderId int,
  what varchar(20) NOT NULL DEFAULT 'item',
  PRIMARY KEY (id),
  FOREIGN KEY (orderId) REFERENCES orders(id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE till.tills (
  id int NOT NULL,
  place varchar(50),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE till.drawers (
  no int NOT NULL AUTO_INCREMENT,
  tillId int,
  what varchar(20) NOT NULL DEFAULT 'coins',
  PRIMARY KEY (no),
  FOREIGN KEY (tillId) REFERENCES tills(id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE depot.parts (
  id char(36) NOT NULL,
  name varchar(20) NOT NULL,
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE depot.sites (
  id int NOT NULL,
  town varchar(20),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE depot.moves (
  no int NOT NULL AUTO_INCREMENT,
  part char(36),
  site int NOT NULL,
  PRIMARY KEY (no),
  FOREIGN KEY (site) REFERENCES sites(id) ON UPDATE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
