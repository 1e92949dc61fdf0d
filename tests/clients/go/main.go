// SPDX-License-Identifier: Apache-2.0
// go-sql-driver: database/sql with text, interpolated and prepared statements.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"context"

	"github.com/go-sql-driver/mysql"
)

func open(user, password, db, tlsName, more string) *sql.DB {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = user, password, "tcp", "127.0.0.1:"+os.Getenv("CF_PORT"), db, tlsName
	c.MaxAllowedPacket = 40 << 20
	dsn := c.FormatDSN() + more
	d, err := sql.Open("mysql", dsn)
	if err != nil {
		panic(err)
	}
	d.SetMaxOpenConns(1)
	return d
}

func failure(err error) {
	if e, ok := err.(*mysql.MySQLError); ok {
		fmt.Printf(" error %d %q\n", e.Number, e.Message)
	} else {
		fmt.Printf(" error %v\n", err)
	}
}

func value(v interface{}) string {
	if b, ok := v.([]byte); ok {
		if len(b) > 1000 {
			return fmt.Sprintf("sha %x of %d", sha256.Sum256(b), len(b))
		}
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%T %v", v, v)
}

func show(rows *sql.Rows) {
	defer rows.Close()
	for {
		types, _ := rows.ColumnTypes()
		for _, t := range types {
			nullable, _ := t.Nullable()
			length, _ := t.Length()
			precision, scale, _ := t.DecimalSize()
			fmt.Println(" column", t.Name(), t.DatabaseTypeName(), nullable, length, precision, scale, t.ScanType())
		}
		for rows.Next() {
			values := make([]interface{}, len(types))
			into := make([]interface{}, len(types))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				failure(err)
			}
			var out []string
			for _, v := range values {
				out = append(out, value(v))
			}
			fmt.Println(" row", strings.Join(out, "|"))
		}
		if !rows.NextResultSet() {
			break
		}
		fmt.Println(" next result")
	}
	if err := rows.Err(); err != nil {
		failure(err)
	}
}

func short(s string) string {
	if len(s) > 90 {
		return s[:90]
	}
	return s
}

func run(c *sql.Conn, query string, arguments ...interface{}) {
	fmt.Printf("sql %q\n", short(query))
	word := strings.ToUpper(strings.SplitN(query, " ", 2)[0])
	if strings.Contains("SELECT SHOW CALL EXECUTE /*", word) {
		rows, err := c.QueryContext(context.Background(), query, arguments...)
		if err != nil {
			failure(err)
			return
		}
		show(rows)
		return
	}
	result, err := c.ExecContext(context.Background(), query, arguments...)
	if err != nil {
		failure(err)
		return
	}
	id, _ := result.LastInsertId()
	n, _ := result.RowsAffected()
	fmt.Println(" affected", n, "id", id)
}

func conn(d *sql.DB) *sql.Conn {
	c, err := d.Conn(context.Background())
	if err != nil {
		failure(err)
		os.Exit(1)
	}
	return c
}

func main() {
	pool := x509.NewCertPool()
	pem, _ := os.ReadFile(os.Getenv("CF_CA"))
	pool.AppendCertsFromPEM(pem)
	mysql.RegisterTLSConfig("ours", &tls.Config{RootCAs: pool, ServerName: "localhost"})
	mysql.SetLogger(silent{})
	engine, dir := os.Getenv("CF_ENGINE"), os.Getenv("CF_DIR")

	var users []struct{ User, Password, Plugin string }
	json.Unmarshal([]byte(os.Getenv("CF_USERS")), &users)
	root := conn(open("root", "", "", "ours", ""))
	for _, u := range users {
		for _, tlsName := range []string{"ours", "false"} {
			if engine == "mysql" {
				run(root, "FLUSH PRIVILEGES") // empties the cache of caching_sha2_password
			}
			for _, o := range [][2]string{{u.Password, "shop"}, {u.Password, "shop"}, {"wrong", "shop"}, {u.Password, "nowhere"}} {
				fmt.Println("login", u.User, tlsName, o[1])
				d := open(u.User, o[0], o[1], tlsName, "")
				if err := d.Ping(); err != nil {
					failure(err)
				} else {
					run(conn(d), "SELECT CURRENT_USER(), DATABASE()")
				}
				d.Close()
			}
		}
	}

	text, _ := os.ReadFile(os.Getenv("CF_STATEMENTS"))
	statements := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, more := range []string{"?multiStatements=true", "?multiStatements=true&interpolateParams=true&parseTime=true&clientFoundRows=true"} {
		fmt.Println("options", more)
		d := open("u_empty", "", "shop", "ours", "")
		d.Close()
		d = open("u_empty", "", "shop", "ours", strings.Replace(more, "?", "&", 1))
		c := conn(d)
		for _, query := range statements {
			run(c, query)
		}
		for _, query := range statements {
			s, err := c.PrepareContext(context.Background(), query)
			fmt.Printf("prepare %q %v\n", short(query), err)
			if err != nil {
				continue
			}
			if strings.HasPrefix(query, "SELECT") {
				rows, err := s.Query()
				if err != nil {
					failure(err)
				} else {
					show(rows)
				}
			} else if result, err := s.Exec(); err != nil {
				failure(err)
			} else {
				n, _ := result.RowsAffected()
				fmt.Println(" affected", n)
			}
			s.Close()
		}
		run(c, "SELECT ?, ?, ?, ?", "é😀", int64(1)<<62, -1.5, nil)
		run(c, "INSERT INTO items (code, label, stock) VALUES (?, ?, ?)", "mango"+more, "m'o\\ 😀", 5)
		run(c, "INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)", "mango"+more, 3, "prepared")
		run(c, "UPDATE orders SET item = ? WHERE item = ?", "fig", "mango"+more)
		run(c, "SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id", "fig")
		run(c, "INSERT INTO orders (item, quantity) VALUES (?, ?)", "nothing", 1)
		run(c, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT 4")
		run(c, "INSERT INTO texts VALUES (1,'a',NULL); INSERT INTO texts VALUES (2,'a',NULL); SELECT nothing FROM texts")
		for _, query := range []string{"CALL p_sets(5)", "SET @b = 0, @c = 'c'", "CALL p_out(21, @b, @c)", "SELECT @b, @c", "CALL p_nothing()"} { // 1.5.0 never comes back from an error behind a result
			run(c, query)
		}
		tx, _ := c.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if _, err := tx.Exec("DELETE FROM orders WHERE item = 'fig'"); err != nil {
			failure(err)
		}
		fmt.Println("rollback", tx.Rollback())
		run(c, "SELECT COUNT(*) FROM orders WHERE item = 'fig'")
		var csv bytes.Buffer
		for i := 0; i < 2000; i++ {
			fmt.Fprintf(&csv, "%d,text %d é😀,\n", i, i)
		}
		os.WriteFile(dir+"/texts.csv", csv.Bytes(), 0o644)
		mysql.RegisterLocalFile(dir + "/texts.csv")
		run(c, "LOAD DATA LOCAL INFILE '"+dir+"/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','")
		run(c, "LOAD DATA LOCAL INFILE '/not/registered' INTO TABLE texts")
		run(c, "SELECT COUNT(*), SUM(a) FROM texts")
		large := bytes.Repeat([]byte{0, 1, 2, 255, 39, 92, 200, 128}, 17<<17)
		for _, size := range []int{1<<24 - 40, 17 << 20} { // pieces of long data where it is prepared
			run(c, "INSERT INTO blobs (v) VALUES (?)", large[:size])
			run(c, "SELECT v FROM blobs ORDER BY id DESC LIMIT 1")
			run(c, "SELECT v FROM blobs WHERE id > ? ORDER BY id DESC LIMIT 1", 0)
		}
		run(c, "INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)", "fig", 17, large[:1<<20])
		run(c, "UPDATE blobs SET v = ''")
		run(c, "SELECT LENGTH(note) FROM orders WHERE quantity = 17")
		d.Close()
	}
	fmt.Println("end")
}

type silent struct{}

func (silent) Print(...interface{}) {}
