# SPDX-License-Identifier: Apache-2.0
# Ruby's mysql2, on the C library.
require 'mysql2'
require 'json'
require 'digest'
$stdout.sync = true
PORT, ENGINE, DIR = ENV['CF_PORT'].to_i, ENV['CF_ENGINE'], ENV['CF_DIR']

def connect(user: 'u_empty', password: '', tls: true, database: 'shop', **more)
  more.merge!(sslca: ENV['CF_CA'], ssl_mode: :required) if tls
  Mysql2::Client.new(host: '127.0.0.1', port: PORT, username: user, password: password, database: database, encoding: 'utf8mb4',
                     local_infile: true, as: :array, **more)
end

def value(v)
  v.is_a?(String) && v.bytesize > 1000 ? "sha #{Digest::SHA256.hexdigest(v)}" : v.inspect
end

def failure(e) = puts(" error #{e.error_number} #{e.sql_state} #{e.message.inspect}")

def show(c, r)
  return puts(" affected #{c.affected_rows} id #{c.last_id} info #{c.query_info.inspect}") if r.nil?
  puts " fields #{r.fields.inspect} #{r.field_types.inspect rescue ''}"
  r.each { |row| puts " row #{row.map { |v| value(v) }.join('|')}" }
end

def run(c, sql)
  puts "sql #{sql[0, 90].inspect}"
  show(c, c.query(sql))
  show(c, c.store_result) while c.next_result
  puts " warnings #{c.warning_count}"
rescue Mysql2::Error => e
  failure(e)
  c.abandon_results!
end

def prepared(c, sql, *values)
  puts "prepared #{sql[0, 90].inspect}"
  s = c.prepare(sql)
  puts " parameters #{s.param_count} fields #{s.field_count}"
  2.times do
    r = s.execute(*values)
    r.nil? ? puts(" affected #{s.affected_rows} id #{s.last_id}") : show(c, r)
  rescue Mysql2::Error => e
    failure(e)
  rescue ArgumentError => e # a time beyond a day
    puts " #{e.message}"
  end
  s.close
rescue Mysql2::Error => e
  failure(e)
end

root = connect(user: 'root', database: 'mysql')
JSON.parse(ENV['CF_USERS']).each do |u|
  [true, false].each do |tls|
    run(root, 'FLUSH PRIVILEGES') if ENGINE == 'mysql' # empties the cache of caching_sha2_password
    [{}, {}, {password: 'wrong'}, {database: 'nowhere'}].each do |o|
      puts "login #{u['user']} #{tls} #{o}"
      c = connect(user: u['user'], password: u['password'], tls: tls, **o)
      run(c, 'SELECT CURRENT_USER(), DATABASE()')
      puts " tls #{!c.ssl_cipher.nil?} ping #{c.ping}"
      c.close
    rescue Mysql2::Error => e
      failure(e)
    end
  end
end
statements = File.readlines(ENV['CF_STATEMENTS'], chomp: true)
c = connect
statements.each { |sql| run(c, sql) }
statements.grep(/^(SELECT|INSERT|UPDATE|DELETE|REPLACE|SHOW|DO)/).each { |sql| prepared(c, sql) }
prepared(c, 'SELECT ?, ?, ?, ?', 'é😀', 2**63 - 1, -1.5, nil)
prepared(c, 'INSERT INTO items (code, label, stock) VALUES (?, ?, ?)', 'mango', "m'o\\ 😀", 5)
prepared(c, 'INSERT INTO orders (item, quantity, note) VALUES (?, ?, ?)', 'mango', 3, 'prepared')
prepared(c, 'UPDATE orders SET item = ? WHERE item = ?', 'fig', 'mango')
prepared(c, 'SELECT item, quantity, note FROM orders WHERE item = ? ORDER BY id', 'fig')
prepared(c, 'INSERT INTO orders (item, quantity) VALUES (?, ?)', 'nothing', 1)
m = connect(flags: Mysql2::Client::MULTI_STATEMENTS)
["SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT 4",
 "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3", 'CALL p_sets(5)', "SET @b = 0, @c = 'c'",
 'CALL p_out(21, @b, @c)', 'SELECT @b, @c', 'CALL p_fail()', 'CALL p_nothing()'].each { |sql| run(m, sql) }
File.write("#{DIR}/texts.csv", (0...2000).map { |i| "#{i},text #{i} é😀,#{i % 3 == 0 ? '\N' : ''}\n" }.join)
run(c, "LOAD DATA LOCAL INFILE '#{DIR}/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','")
run(c, "LOAD DATA LOCAL INFILE '#{DIR}/nowhere' INTO TABLE texts")
large = (0..255).to_a.pack('C*') * (17 * 4096)
c.prepare('INSERT INTO blobs (v) VALUES (?)').execute(large)
puts "back #{c.query('SELECT v FROM blobs ORDER BY id LIMIT 1').first[0] == large}"
puts "streamed #{c.query('SELECT REPEAT("r", 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f', stream: true, cache_rows: false).sum { |row| row[0].size }}"
c.query('SELECT SLEEP(0.1), 1', async: true)
puts "asynchronous #{c.async_result.to_a.inspect}"
puts "select_db #{c.select_db('other').inspect}"
run(c, 'SELECT DATABASE()')
run(c, 'SELECT COUNT(*) FROM shop.items')
victim = connect
c.query("KILL #{victim.thread_id}")
begin
  victim.query('SELECT 1')
rescue Mysql2::Error => e
  puts "killed #{e.error_number}"
end
puts 'end'
