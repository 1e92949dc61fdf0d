// SPDX-License-Identifier: Apache-2.0
// Numbers of the MySQL client/server protocol. Source: MySQL Internals "Client/Server Protocol" (dev.mysql.com
// page_protocol_basics) and MariaDB Knowledge Base "Client/Server Protocol".
#pragma once

#include <cstdint>
#include <cstddef>

namespace crossfade::protocol {

inline constexpr size_t kFrameHeader = 4;
inline constexpr uint32_t kMaxFramePayload = 0xFFFFFF;  // a frame of exactly this size is continued by another

enum Capability : uint64_t {
  kClientLongPassword = 1u << 0,
  kClientFoundRows = 1u << 1,
  kClientConnectWithDb = 1u << 3,
  kClientCompress = 1u << 5,
  kClientLocalFiles = 1u << 7,
  kClientProtocol41 = 1u << 9,
  kClientSsl = 1u << 11,
  kClientTransactions = 1u << 13,
  kClientSecureConnection = 1u << 15,
  kClientMultiStatements = 1u << 16,
  kClientMultiResults = 1u << 17,
  kClientPsMultiResults = 1u << 18,
  kClientPluginAuth = 1u << 19,
  kClientConnectAttrs = 1u << 20,
  kClientPluginAuthLenencData = 1u << 21,
  kClientCanHandleExpiredPasswords = 1u << 22,
  kClientSessionTrack = 1u << 23,
  kClientDeprecateEof = 1u << 24,
  kClientOptionalResultsetMetadata = 1u << 25,
  kClientZstdCompression = 1u << 26,
  kClientQueryAttributes = 1u << 27,
  kClientMultiFactor = 1u << 28,
  // MariaDB's own, bits 32 and up (sent in the upper half of the greeting's and response's reserved bytes)
  kMariaDbProgress = 1ull << 32,
  kMariaDbComMulti = 1ull << 33,
  kMariaDbStmtBulk = 1ull << 34,
  kMariaDbExtendedMetadata = 1ull << 35,
  kMariaDbCacheMetadata = 1ull << 36,
};

enum StatusFlag : uint16_t {
  kStatusInTrans = 1u << 0,
  kStatusAutocommit = 1u << 1,
  kStatusMoreResults = 1u << 3,
  kStatusCursorExists = 1u << 6,
  kStatusLastRowSent = 1u << 7,
  kStatusNoBackslashEscapes = 1u << 9,
  kStatusPsOutParams = 1u << 12,
  kStatusInTransReadonly = 1u << 13,
  kStatusSessionStateChanged = 1u << 14,
};

enum class Command : uint8_t {
  kSleep = 0, kQuit = 1, kInitDb = 2, kQuery = 3, kFieldList = 4, kCreateDb = 5, kDropDb = 6, kRefresh = 7,
  kShutdown = 8, kStatistics = 9, kProcessInfo = 10, kConnect = 11, kProcessKill = 12, kDebug = 13, kPing = 14,
  kChangeUser = 17, kBinlogDump = 18, kTableDump = 19, kConnectOut = 20, kRegisterSlave = 21,
  kStmtPrepare = 22, kStmtExecute = 23, kStmtSendLongData = 24, kStmtClose = 25, kStmtReset = 26,
  kSetOption = 27, kStmtFetch = 28, kDaemon = 29, kBinlogDumpGtid = 30, kResetConnection = 31,
  kClone = 32, kGroupReplication = 33,
  kStmtBulkExecute = 0xFA,
};

}  // namespace crossfade::protocol
