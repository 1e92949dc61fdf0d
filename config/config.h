// SPDX-License-Identifier: Apache-2.0
// What the operator declared in crossfade.yaml, as plain values. A leaf: knows no other room.
// Loading and validation are in load.h; the meaning of each phase is in docs/phases.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/network.h"

namespace crossfade::config {

// The way a migration walks, one step at a time:
//   observe -> expand -> dual_write -> backfill -> verify -> cutover -> retire -> contract -> done
// Before retire any earlier phase can be asked for; from retire on there is only forward.
enum class Phase : uint8_t { kObserve, kExpand, kDualWrite, kBackfill, kVerify, kCutover, kRetire, kContract, kDone };

std::string_view PhaseName(Phase phase);                     // "dual_write"
std::optional<Phase> ParsePhase(std::string_view name);      // nullopt: no such phase

enum class TlsMode : uint8_t { kDisabled, kPreferred, kRequired, kVerify };

enum class ClientCertificate : uint8_t { kIgnored, kOptional, kRequired };
enum class ProxyProtocol : uint8_t { kNone, kV1, kV2 };
enum class Compression : uint8_t { kOff, kZlib, kZstd };

struct Listener {
  std::string address;  // "HOST:PORT", "[V6]:PORT" or "unix:PATH"
  std::string backend;  // a name of Config::backends
  std::string tls_certificate;  // PEM file
  std::string tls_key;
  bool tls_generate = false;    // make a certificate at start, in tls_folder where that is set
  std::string tls_folder;
  bool tls_required = false;    // who does not ask for TLS gets error 3159
  std::string tls_client_ca;    // PEM file that certificates of clients are checked against
  ClientCertificate client_certificate = ClientCertificate::kIgnored;
  std::vector<Network> proxy_protocol;  // peers from here send a PROXY protocol header first, all others none

  bool offers_tls() const { return tls_generate || !tls_certificate.empty(); }
  bool operator==(const Listener&) const = default;
};

struct Backend {
  std::string name;
  std::string address;  // as Listener::address
  TlsMode tls = TlsMode::kPreferred;
  std::string ca;           // PEM file; needed by kVerify
  std::string certificate;  // PEM files: what the proxy shows to a server that wants a client's certificate; may be empty
  std::string key;
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;  // the header sent ahead of each client's connection
  Compression compression = Compression::kOff;          // of the connections to it, where it offers that

  bool operator==(const Backend&) const = default;
};

struct Control {
  std::string backend;
  std::string user;
  std::string password_file;  // empty: no password
  std::string schema = "crossfade";
};

// A column that refers to a migrated key.
struct KeyReference {
  std::string table;
  std::string old_column;
  std::string new_column;
  std::string final_name;  // the name new_column takes in `contract`; empty: keeps its own
};

// A key column `old` that gets a successor `new`, in its own table and in all that refer to it.
struct KeyMigration {
  std::string table;
  std::string old_column;
  std::string new_column;
  std::string new_type;       // as in DDL: "int unsigned"
  std::string final_name;     // the name new_column takes in `contract`; empty: keeps its own
  std::string old_from;       // SQL that makes an old key where a client gives only the new one; empty: UUID() or refused
  // The new key is made of the old one: SQL over old_column, and the way back over new_column. Empty: a fresh key.
  std::string from, back;
  bool keep_old_lookup = false;  // the old key stays in this table as a unique column
  std::vector<KeyReference> references;
};

struct NewColumn {
  std::string name;
  std::string type;
  std::string from;  // SQL over old columns of the same row
};

struct ColumnMigration {
  std::string table;
  std::vector<std::string> old_columns;
  std::vector<NewColumn> new_columns;
  struct Back { std::string column; std::string expression; };
  std::vector<Back> back;  // old from new
  std::string final_name;
  bool of_key = false;     // a key or reference whose new side is made of the old one: see rewrite/derived.h
};

// How many chunks of a table may be under way at once.
struct TableWorkers {
  std::string table;
  uint32_t workers = 0;
};

// Who reads the new side in `cutover`: a share of all, and whoever is named here, at any percent.
struct Cutover {
  bool sticky_user = false;  // the share is one of users: all connections of one user read the same side
  std::vector<std::string> users;
  std::vector<std::string> listeners;  // addresses, as under `listen:`
  struct Attribute { std::string name, value; };
  std::vector<Attribute> attributes;   // connection attributes; one that fits is enough

  bool plain() const { return !sticky_user && users.empty() && listeners.empty() && attributes.empty(); }
};

// Reads that are run on both sides within one read view, and compared.
struct CompareReads {
  double share = 0;           // of the reads that differ by cohort, 0 to 100
  double mismatch_limit = 0;  // percent of those compared; above it the migration goes back one phase. 0: never
  uint32_t at_least = 100;    // comparisons before that is judged
};

struct Migration {
  std::string name;
  std::string schema;
  Phase phase = Phase::kObserve;
  double percent = 0;  // cutover: connections of the new cohort, 0 to 100
  std::vector<KeyMigration> keys;
  std::vector<ColumnMigration> columns;
  std::vector<TableWorkers> workers;  // where limits.backfill_workers is not what a table wants
  // Digests of statements that may be refused: they do not hold the gates to `expand` and `dual_write`.
  std::vector<std::string> accepted;
  std::string verify_on;  // a name of Config::backends, a replica of the control backend that verification reads; empty: none
  Cutover cutover;
  CompareReads compare_reads;
  std::chrono::milliseconds quiet_before_retire{7 * 24 * 3'600'000};  // without a use that would break; 0: not asked for
};

// Every limit, with the default an operator would choose. All in crossfade.yaml under `limits:`, same names.
struct Limits {
  std::chrono::milliseconds connect_timeout{10'000};    // to a backend
  std::chrono::milliseconds handshake_timeout{10'000};  // a client from accept to authenticated
  std::chrono::milliseconds idle_timeout{0};              // between two commands, outside of a transaction; 0: the server's own
  std::chrono::milliseconds idle_transaction_timeout{0};  // the same in a transaction; 0: the server's own
  std::chrono::milliseconds statement_timeout{0};         // one command; 0: none
  std::chrono::milliseconds drain_timeout{30'000};      // SIGTERM: how long sessions may finish
  std::chrono::milliseconds lease{5'000};               // a proxy that did not renew for so long counts as dead
  std::chrono::milliseconds control_poll{200};          // how often a proxy looks for a new epoch
  std::chrono::milliseconds hold_limit{2'000};          // statement gate: held longer than this, it is given up
  std::chrono::milliseconds quiet_before_expand{0};     // refused digests seen within it hold the gate to expand; 0: since the proxy started
  uint32_t max_connections = 10'000;                    // clients, in all
  uint32_t max_user_connections = 0;                    // of one user; 0: no limit
  uint32_t max_connections_per_address = 0;             // from one IP address; 0: no limit
  uint32_t max_prepared_statements = 1'048'576;         // of all clients
  uint32_t max_client_prepared_statements = 16'382;     // of one client
  uint64_t max_packet = 1ull << 30;                     // bytes of one command, 1 KiB to 1 GiB
  uint64_t max_buffered = 4ull << 30;                   // bytes of commands under way that are larger than 256 KiB, in all
  uint32_t plan_cache_entries = 10'000;                 // for each io thread
  uint32_t key_block = 1'000;                           // new keys a proxy reserves at once
  uint32_t insert_select_rows = 10'000'000;             // of one INSERT … SELECT whose rows get numbers as new keys
  uint32_t insert_lookups = 20;                         // an INSERT of so many references looks them up by one query before it; 0: never
  uint32_t row_image_rows = 10'000;                     // of one UPDATE whose new side is made row by row (strategy B)
  std::chrono::milliseconds keys_wait{10'000};          // a statement waits so long for new keys
  std::chrono::milliseconds state_wait{5'000};          // … and for the control schema: to be read, to take a connection up
  uint64_t compared_bytes = 4ull << 20;                 // compare_reads: of one side's result; larger ones are left out
  uint32_t chunk_rows = 2'000;                          // backfill: rows in the first chunk
  std::chrono::milliseconds chunk_target{500};          // backfill: aim for the time of one chunk
  std::chrono::milliseconds chunk_target_beside{3};     // … the same while an application works through the proxies
  uint32_t backfill_workers = 0;                        // chunks of a table under way at once; 0: by cores on MySQL, 1 on MariaDB
  double backfill_idle_share = 0.5;                     // of the time left idle between chunks, 0 to 0.99
  uint32_t verify_chunk_rows = 10'000;
  std::chrono::milliseconds ddl_lock_wait{1'000};       // how long an ALTER may wait for its metadata lock
  uint32_t io_threads = 0;                              // 0: one for each core
  uint32_t parse_depth = 200;                           // nesting beyond it is refused
};

// Part of a day on which the backfill may run, in UTC.
struct Window {
  uint8_t days = 0x7f;         // bit 0: Monday
  uint16_t from = 0, to = 0;   // minutes of the day; to <= from: over midnight, counted to the day it begins on
  bool operator==(const Window&) const = default;
};

// Limits on what the backfill may do to the servers and the application; beyond `limit` it waits, beyond `stop` the migration is
// paused. 0: not looked at.
struct Throttle {
  struct Bound {
    double limit = 0, stop = 0;
  };
  Bound replica_lag{5, 0};            // seconds, of the replica that is furthest behind
  bool find_replicas = true;          // ask the server for them
  std::vector<std::string> replicas;  // "HOST:PORT", beside those that are found
  Bound threads_running{50, 0};
  Bound history_list{1'000'000, 0};   // InnoDB's transactions yet to be purged
  Bound binlog_rate{0, 0};            // bytes of binary log a second, whoever writes them
  Bound disk_free{1ull << 30, 0};     // bytes free for the server's data and binary log, where known: *below* which it waits
  Bound p99{0, 0};                    // milliseconds, of the application's commands through the proxies
  double p99_rise = 1.2;              // times what it is while the backfill rests
  Bound query;
  std::string query_sql;              // its first value is what counts
  std::vector<Window> windows;        // none: always
  bool minimal_row_image = false;     // the migrator's own sessions log changed columns alone
  std::chrono::milliseconds poll{500};
};

struct Config {
  std::string path;
  std::vector<Listener> listeners;
  std::vector<Backend> backends;
  Control control;
  std::string admin;  // "HOST:PORT"; empty: none
  std::string log_level = "info";
  std::vector<Migration> migrations;
  Limits limits;
  Throttle throttle;

  const Backend* FindBackend(std::string_view name) const;
  const Migration* FindMigration(std::string_view name) const;
};

}  // namespace crossfade::config
