// SPDX-License-Identifier: Apache-2.0
// The words the grammar knows, and in which servers each is reserved (tried word by word on MySQL 9.7 and
// MariaDB 10.11; releases from the manuals). A word that is not reserved is a name wherever it is not expected.
// X(enumerator, word, first MySQL release that reserves it, reserved in MariaDB)
#pragma once

#include <cstdint>
#include <string_view>

#include "rewrite/catalog.h"

#define CROSSFADE_KEYWORDS(X) \
  X(kAbsent, "ABSENT", kNever, false) X(kAccessible, "ACCESSIBLE", kAlways, true) X(kAdd, "ADD", kAlways, true) \
  X(kAdddate, "ADDDATE", kNever, false) X(kAgainst, "AGAINST", kNever, false) \
  X(kAlgorithm, "ALGORITHM", kNever, false) X(kAll, "ALL", kAlways, true) \
  X(kAlter, "ALTER", kAlways, true) X(kAnalyse, "ANALYSE", kNever, false) \
  X(kAnalyze, "ANALYZE", kAlways, true) X(kAnd, "AND", kAlways, true) X(kAny, "ANY", kNever, false) \
  X(kAs, "AS", kAlways, true) X(kAsc, "ASC", kAlways, true) \
  X(kAsensitive, "ASENSITIVE", kAlways, true) X(kAt, "AT", kNever, false) \
  X(kAvg, "AVG", kNever, false) X(kBackup, "BACKUP", kNever, false) \
  X(kBefore, "BEFORE", kAlways, true) X(kBegin, "BEGIN", kNever, false) \
  X(kBetween, "BETWEEN", kAlways, true) X(kBigint, "BIGINT", kAlways, true) \
  X(kBinary, "BINARY", kAlways, true) X(kBinlog, "BINLOG", kNever, false) \
  X(kBitAnd, "BIT_AND", kNever, false) X(kBitOr, "BIT_OR", kNever, false) \
  X(kBitXor, "BIT_XOR", kNever, false) X(kBlob, "BLOB", kAlways, true) \
  X(kBoolean, "BOOLEAN", kNever, false) X(kBoth, "BOTH", kAlways, true) X(kBy, "BY", kAlways, true) \
  X(kCache, "CACHE", kNever, false) X(kCall, "CALL", kAlways, true) \
  X(kCascade, "CASCADE", kAlways, true) X(kCase, "CASE", kAlways, true) \
  X(kCast, "CAST", kNever, false) X(kChain, "CHAIN", kNever, false) \
  X(kChange, "CHANGE", kAlways, true) X(kChar, "CHAR", kAlways, true) \
  X(kCharacter, "CHARACTER", kAlways, true) X(kCharset, "CHARSET", kNever, false) \
  X(kCheck, "CHECK", kAlways, true) X(kClone, "CLONE", kNever, false) \
  X(kCollate, "COLLATE", kAlways, true) X(kColumn, "COLUMN", kAlways, true) \
  X(kColumns, "COLUMNS", kNever, false) X(kColumnAdd, "COLUMN_ADD", kNever, false) \
  X(kColumnCreate, "COLUMN_CREATE", kNever, false) X(kColumnGet, "COLUMN_GET", kNever, false) \
  X(kCommit, "COMMIT", kNever, false) X(kCondition, "CONDITION", kAlways, true) \
  X(kConstraint, "CONSTRAINT", kAlways, true) X(kContinue, "CONTINUE", kAlways, true) \
  X(kConvert, "CONVERT", kAlways, true) X(kCount, "COUNT", kNever, false) \
  X(kCreate, "CREATE", kAlways, true) X(kCross, "CROSS", kAlways, true) \
  X(kCube, "CUBE", 80000, false) X(kCumeDist, "CUME_DIST", 80000, false) \
  X(kCurrent, "CURRENT", kNever, false) X(kCurrentDate, "CURRENT_DATE", kAlways, true) \
  X(kCurrentRole, "CURRENT_ROLE", kNever, true) X(kCurrentTime, "CURRENT_TIME", kAlways, true) \
  X(kCurrentTimestamp, "CURRENT_TIMESTAMP", kAlways, true) \
  X(kCurrentUser, "CURRENT_USER", kAlways, true) X(kCursor, "CURSOR", kAlways, true) \
  X(kCycle, "CYCLE", kNever, false) X(kDatabase, "DATABASE", kAlways, false) \
  X(kDatabases, "DATABASES", kAlways, true) X(kDate, "DATE", kNever, false) \
  X(kDatetime, "DATETIME", kNever, false) X(kDateAdd, "DATE_ADD", kNever, false) \
  X(kDateSub, "DATE_SUB", kNever, false) X(kDay, "DAY", kNever, false) \
  X(kDayHour, "DAY_HOUR", kAlways, true) X(kDayMicrosecond, "DAY_MICROSECOND", kAlways, true) \
  X(kDayMinute, "DAY_MINUTE", kAlways, true) X(kDaySecond, "DAY_SECOND", kAlways, true) \
  X(kDeallocate, "DEALLOCATE", kNever, false) X(kDec, "DEC", kAlways, true) \
  X(kDecimal, "DECIMAL", kAlways, true) X(kDeclare, "DECLARE", kAlways, true) \
  X(kDefault, "DEFAULT", kAlways, true) X(kDelayed, "DELAYED", kAlways, true) \
  X(kDelete, "DELETE", kAlways, true) X(kDeleteDomainId, "DELETE_DOMAIN_ID", kNever, true) \
  X(kDenseRank, "DENSE_RANK", 80000, false) X(kDesc, "DESC", kAlways, true) \
  X(kDescribe, "DESCRIBE", kAlways, true) X(kDeterministic, "DETERMINISTIC", kAlways, true) \
  X(kDiagnostics, "DIAGNOSTICS", kNever, false) X(kDistinct, "DISTINCT", kAlways, true) \
  X(kDistinctrow, "DISTINCTROW", kAlways, true) X(kDiv, "DIV", kAlways, true) \
  X(kDo, "DO", kNever, false) X(kDouble, "DOUBLE", kAlways, true) \
  X(kDoDomainIds, "DO_DOMAIN_IDS", kNever, true) X(kDrop, "DROP", kAlways, true) \
  X(kDual, "DUAL", kAlways, true) X(kDumpfile, "DUMPFILE", kNever, false) \
  X(kDuplicate, "DUPLICATE", kNever, false) X(kEach, "EACH", kAlways, true) \
  X(kElse, "ELSE", kAlways, true) X(kElseif, "ELSEIF", kAlways, true) \
  X(kEmpty, "EMPTY", 80000, false) X(kEnclosed, "ENCLOSED", kAlways, true) \
  X(kEnd, "END", kNever, false) X(kError, "ERROR", kNever, false) \
  X(kEscape, "ESCAPE", kNever, false) X(kEscaped, "ESCAPED", kAlways, true) \
  X(kEvent, "EVENT", kNever, false) X(kExamined, "EXAMINED", kNever, false) \
  X(kExcept, "EXCEPT", 80000, true) X(kExclude, "EXCLUDE", kNever, false) \
  X(kExecute, "EXECUTE", kNever, false) X(kExists, "EXISTS", kAlways, true) \
  X(kExit, "EXIT", kAlways, true) X(kExpansion, "EXPANSION", kNever, false) \
  X(kExplain, "EXPLAIN", kAlways, true) X(kExtended, "EXTENDED", kNever, false) \
  X(kExternal, "EXTERNAL", 90400, false) X(kExtract, "EXTRACT", kNever, false) \
  X(kFalse, "FALSE", kAlways, true) X(kFetch, "FETCH", kAlways, true) \
  X(kFields, "FIELDS", kNever, false) X(kFirst, "FIRST", kNever, false) \
  X(kFirstValue, "FIRST_VALUE", 80000, false) X(kFloat, "FLOAT", kAlways, true) \
  X(kFloat4, "FLOAT4", kAlways, true) X(kFloat8, "FLOAT8", kAlways, true) \
  X(kFlush, "FLUSH", kNever, false) X(kFollowing, "FOLLOWING", kNever, false) \
  X(kFor, "FOR", kAlways, true) X(kForce, "FORCE", kAlways, true) \
  X(kForeign, "FOREIGN", kAlways, true) X(kFormat, "FORMAT", kNever, false) \
  X(kFrom, "FROM", kAlways, true) X(kFulltext, "FULLTEXT", kAlways, true) \
  X(kFunction, "FUNCTION", 80000, false) X(kGenerated, "GENERATED", kAlways, false) \
  X(kGet, "GET", kAlways, false) X(kGetFormat, "GET_FORMAT", kNever, false) \
  X(kGlobal, "GLOBAL", kNever, false) X(kGrant, "GRANT", kAlways, true) \
  X(kGroup, "GROUP", kAlways, true) X(kGrouping, "GROUPING", 80000, false) \
  X(kGroups, "GROUPS", 80000, false) X(kGroupConcat, "GROUP_CONCAT", kNever, false) \
  X(kHandler, "HANDLER", kNever, false) X(kHaving, "HAVING", kAlways, true) \
  X(kHelp, "HELP", kNever, false) X(kHighPriority, "HIGH_PRIORITY", kAlways, true) \
  X(kHistory, "HISTORY", kNever, false) X(kHour, "HOUR", kNever, false) \
  X(kHourMicrosecond, "HOUR_MICROSECOND", kAlways, true) \
  X(kHourMinute, "HOUR_MINUTE", kAlways, true) X(kHourSecond, "HOUR_SECOND", kAlways, true) \
  X(kIf, "IF", kAlways, true) X(kIgnore, "IGNORE", kAlways, true) \
  X(kIgnoreDomainIds, "IGNORE_DOMAIN_IDS", kNever, true) X(kImmediate, "IMMEDIATE", kNever, false) \
  X(kImport, "IMPORT", kNever, false) X(kIn, "IN", kAlways, true) X(kIndex, "INDEX", kAlways, true) \
  X(kInfile, "INFILE", kAlways, true) X(kInner, "INNER", kAlways, true) \
  X(kInout, "INOUT", kAlways, true) X(kInsensitive, "INSENSITIVE", kAlways, true) \
  X(kInsert, "INSERT", kAlways, true) X(kInstall, "INSTALL", kNever, false) \
  X(kInstance, "INSTANCE", kNever, false) X(kInt, "INT", kAlways, true) \
  X(kInt1, "INT1", kAlways, true) X(kInt2, "INT2", kAlways, true) X(kInt3, "INT3", kAlways, true) \
  X(kInt4, "INT4", kAlways, true) X(kInt8, "INT8", kAlways, true) \
  X(kInteger, "INTEGER", kAlways, true) X(kIntersect, "INTERSECT", 80031, true) \
  X(kInterval, "INTERVAL", kAlways, true) X(kInto, "INTO", kAlways, true) \
  X(kIoAfterGtids, "IO_AFTER_GTIDS", kAlways, false) \
  X(kIoBeforeGtids, "IO_BEFORE_GTIDS", kAlways, false) X(kIs, "IS", kAlways, true) \
  X(kIterate, "ITERATE", kAlways, true) X(kJoin, "JOIN", kAlways, true) \
  X(kJsonArrayagg, "JSON_ARRAYAGG", kNever, false) \
  X(kJsonObjectagg, "JSON_OBJECTAGG", kNever, false) X(kJsonTable, "JSON_TABLE", 80000, false) \
  X(kJsonValue, "JSON_VALUE", kNever, false) X(kKey, "KEY", kAlways, true) \
  X(kKeys, "KEYS", kAlways, true) X(kKill, "KILL", kAlways, true) X(kLag, "LAG", 80000, false) \
  X(kLanguage, "LANGUAGE", kNever, false) X(kLast, "LAST", kNever, false) \
  X(kLastValue, "LAST_VALUE", 80000, false) X(kLateral, "LATERAL", 80014, false) \
  X(kLead, "LEAD", 80000, false) X(kLeading, "LEADING", kAlways, true) \
  X(kLeave, "LEAVE", kAlways, true) X(kLeft, "LEFT", kAlways, true) \
  X(kLevel, "LEVEL", kNever, false) X(kLibrary, "LIBRARY", 90200, false) X(kLike, "LIKE", kAlways, true) \
  X(kLimit, "LIMIT", kAlways, true) X(kLinear, "LINEAR", kAlways, true) \
  X(kLines, "LINES", kAlways, true) X(kLoad, "LOAD", kAlways, true) \
  X(kLocal, "LOCAL", kNever, false) X(kLocaltime, "LOCALTIME", kAlways, true) \
  X(kLocaltimestamp, "LOCALTIMESTAMP", kAlways, true) X(kLock, "LOCK", kAlways, true) \
  X(kLocked, "LOCKED", kNever, false) X(kLong, "LONG", kAlways, true) \
  X(kLongblob, "LONGBLOB", kAlways, true) X(kLongtext, "LONGTEXT", kAlways, true) \
  X(kLoop, "LOOP", kAlways, true) X(kLowPriority, "LOW_PRIORITY", kAlways, true) \
  X(kMasterDemoteToReplica, "MASTER_DEMOTE_TO_REPLICA", kNever, true) \
  X(kMasterDemoteToSlave, "MASTER_DEMOTE_TO_SLAVE", kNever, true) \
  X(kMasterSslVerifyServerCert, "MASTER_SSL_VERIFY_SERVER_CERT", kNever, true) \
  X(kMatch, "MATCH", kAlways, true) X(kMax, "MAX", kNever, false) \
  X(kMaxvalue, "MAXVALUE", kAlways, true) X(kMediumblob, "MEDIUMBLOB", kAlways, true) \
  X(kMediumint, "MEDIUMINT", kAlways, true) X(kMediumtext, "MEDIUMTEXT", kAlways, true) \
  X(kMember, "MEMBER", kNever, false) X(kMicrosecond, "MICROSECOND", kNever, false) \
  X(kMid, "MID", kNever, false) X(kMiddleint, "MIDDLEINT", kAlways, true) \
  X(kMin, "MIN", kNever, false) X(kMinute, "MINUTE", kNever, false) \
  X(kMinuteMicrosecond, "MINUTE_MICROSECOND", kAlways, true) \
  X(kMinuteSecond, "MINUTE_SECOND", kAlways, true) X(kMod, "MOD", kAlways, true) \
  X(kMode, "MODE", kNever, false) X(kModifies, "MODIFIES", kAlways, true) \
  X(kMonth, "MONTH", kNever, false) X(kNatural, "NATURAL", kAlways, true) \
  X(kNext, "NEXT", kNever, false) X(kNo, "NO", kNever, false) X(kNot, "NOT", kAlways, true) \
  X(kNowait, "NOWAIT", kNever, false) X(kNoWriteToBinlog, "NO_WRITE_TO_BINLOG", kAlways, true) \
  X(kNthValue, "NTH_VALUE", 80000, false) X(kNtile, "NTILE", 80000, false) \
  X(kNull, "NULL", kAlways, true) X(kNulls, "NULLS", kNever, false) \
  X(kNumeric, "NUMERIC", kAlways, true) X(kOf, "OF", 80000, false) \
  X(kOffset, "OFFSET", kNever, true) X(kOj, "OJ", kNever, false) X(kOn, "ON", kAlways, true) \
  X(kOnly, "ONLY", kNever, false) X(kOptimize, "OPTIMIZE", kAlways, true) \
  X(kOptimizerCosts, "OPTIMIZER_COSTS", kAlways, false) X(kOption, "OPTION", kAlways, false) \
  X(kOptionally, "OPTIONALLY", kAlways, true) X(kOr, "OR", kAlways, true) \
  X(kOrder, "ORDER", kAlways, true) X(kOthers, "OTHERS", kNever, false) \
  X(kOut, "OUT", kAlways, true) X(kOuter, "OUTER", kAlways, true) \
  X(kOutfile, "OUTFILE", kAlways, true) X(kOver, "OVER", 80000, true) \
  X(kPackage, "PACKAGE", kNever, false) X(kPageChecksum, "PAGE_CHECKSUM", kNever, true) \
  X(kParseVcolExpr, "PARSE_VCOL_EXPR", kNever, true) X(kPartition, "PARTITION", kAlways, true) \
  X(kPartitions, "PARTITIONS", kNever, false) X(kPercentRank, "PERCENT_RANK", 80000, false) \
  X(kPeriod, "PERIOD", kNever, false) X(kPersist, "PERSIST", kNever, false) \
  X(kPortion, "PORTION", kNever, true) X(kPosition, "POSITION", kNever, false) \
  X(kPreceding, "PRECEDING", kNever, false) X(kPrecision, "PRECISION", kAlways, true) \
  X(kPrepare, "PREPARE", kNever, false) X(kPrevious, "PREVIOUS", kNever, false) \
  X(kPrimary, "PRIMARY", kAlways, true) X(kProcedure, "PROCEDURE", kAlways, true) \
  X(kPurge, "PURGE", kAlways, true) X(kQualify, "QUALIFY", 80400, false) \
  X(kQuarter, "QUARTER", kNever, false) X(kQuery, "QUERY", kNever, false) \
  X(kQuick, "QUICK", kNever, false) X(kRange, "RANGE", kAlways, true) X(kRank, "RANK", 80000, false) \
  X(kRead, "READ", kAlways, true) X(kReads, "READS", kAlways, true) \
  X(kReadWrite, "READ_WRITE", kAlways, true) X(kReal, "REAL", kAlways, true) \
  X(kRecursive, "RECURSIVE", 80000, true) X(kReferences, "REFERENCES", kAlways, true) \
  X(kRefSystemId, "REF_SYSTEM_ID", kNever, true) X(kRegexp, "REGEXP", kAlways, true) \
  X(kRelease, "RELEASE", kAlways, true) X(kRename, "RENAME", kAlways, true) \
  X(kRepair, "REPAIR", kNever, false) X(kRepeat, "REPEAT", kAlways, true) \
  X(kReplace, "REPLACE", kAlways, true) X(kRequire, "REQUIRE", kAlways, true) \
  X(kReset, "RESET", kNever, false) X(kResignal, "RESIGNAL", kAlways, true) \
  X(kRespect, "RESPECT", kNever, false) X(kRestart, "RESTART", kNever, false) \
  X(kRestrict, "RESTRICT", kAlways, true) X(kReturn, "RETURN", kAlways, true) \
  X(kReturning, "RETURNING", kNever, true) X(kRevoke, "REVOKE", kAlways, true) \
  X(kRight, "RIGHT", kAlways, true) X(kRlike, "RLIKE", kAlways, true) \
  X(kRollback, "ROLLBACK", kNever, false) X(kRollup, "ROLLUP", kNever, false) \
  X(kRow, "ROW", 80000, false) X(kRows, "ROWS", 80000, true) \
  X(kRowNumber, "ROW_NUMBER", 80000, true) X(kSavepoint, "SAVEPOINT", kNever, false) \
  X(kSchema, "SCHEMA", kAlways, false) X(kSchemas, "SCHEMAS", kAlways, true) \
  X(kSecond, "SECOND", kNever, false) X(kSecondMicrosecond, "SECOND_MICROSECOND", kAlways, true) \
  X(kSelect, "SELECT", kAlways, true) X(kSensitive, "SENSITIVE", kAlways, true) \
  X(kSeparator, "SEPARATOR", kAlways, true) X(kSession, "SESSION", kNever, false) \
  X(kSet, "SET", kAlways, true) X(kSets, "SETS", kNever, false) X(kShare, "SHARE", kNever, false) X(kShow, "SHOW", kAlways, true) \
  X(kShutdown, "SHUTDOWN", kNever, false) X(kSignal, "SIGNAL", kAlways, true) \
  X(kSkip, "SKIP", kNever, false) X(kSmallint, "SMALLINT", kAlways, true) \
  X(kSome, "SOME", kNever, false) X(kSounds, "SOUNDS", kNever, false) \
  X(kSpatial, "SPATIAL", kAlways, true) X(kSpecific, "SPECIFIC", kAlways, true) \
  X(kSql, "SQL", kAlways, true) X(kSqlexception, "SQLEXCEPTION", kAlways, true) \
  X(kSqlstate, "SQLSTATE", kAlways, true) X(kSqlwarning, "SQLWARNING", kAlways, true) \
  X(kSqlBigResult, "SQL_BIG_RESULT", kAlways, true) \
  X(kSqlBufferResult, "SQL_BUFFER_RESULT", kNever, false) X(kSqlCache, "SQL_CACHE", kNever, false) \
  X(kSqlCalcFoundRows, "SQL_CALC_FOUND_ROWS", kAlways, true) \
  X(kSqlNoCache, "SQL_NO_CACHE", kNever, false) \
  X(kSqlSmallResult, "SQL_SMALL_RESULT", kAlways, true) X(kSqlTsiDay, "SQL_TSI_DAY", kNever, false) \
  X(kSqlTsiHour, "SQL_TSI_HOUR", kNever, false) X(kSqlTsiMinute, "SQL_TSI_MINUTE", kNever, false) \
  X(kSqlTsiMonth, "SQL_TSI_MONTH", kNever, false) \
  X(kSqlTsiQuarter, "SQL_TSI_QUARTER", kNever, false) \
  X(kSqlTsiSecond, "SQL_TSI_SECOND", kNever, false) X(kSqlTsiWeek, "SQL_TSI_WEEK", kNever, false) \
  X(kSqlTsiYear, "SQL_TSI_YEAR", kNever, false) X(kSsl, "SSL", kAlways, true) \
  X(kStart, "START", kNever, false) X(kStarting, "STARTING", kAlways, true) \
  X(kStatement, "STATEMENT", kNever, false) X(kStatsAutoRecalc, "STATS_AUTO_RECALC", kNever, true) \
  X(kStatsPersistent, "STATS_PERSISTENT", kNever, true) \
  X(kStatsSamplePages, "STATS_SAMPLE_PAGES", kNever, true) X(kStd, "STD", kNever, false) \
  X(kStddev, "STDDEV", kNever, false) X(kStddevPop, "STDDEV_POP", kNever, false) \
  X(kStddevSamp, "STDDEV_SAMP", kNever, false) X(kStop, "STOP", kNever, false) \
  X(kStored, "STORED", kAlways, false) X(kStraightJoin, "STRAIGHT_JOIN", kAlways, true) \
  X(kSubdate, "SUBDATE", kNever, false) X(kSubstr, "SUBSTR", kNever, false) \
  X(kSubstring, "SUBSTRING", kNever, false) X(kSum, "SUM", kNever, false) \
  X(kSystem, "SYSTEM", 80000, false) X(kSystemTime, "SYSTEM_TIME", kNever, false) \
  X(kTable, "TABLE", kAlways, true) X(kTables, "TABLES", kNever, false) \
  X(kTablesample, "TABLESAMPLE", 80400, false) X(kTerminated, "TERMINATED", kAlways, true) \
  X(kThen, "THEN", kAlways, true) X(kTies, "TIES", kNever, false) X(kTime, "TIME", kNever, false) \
  X(kTimestamp, "TIMESTAMP", kNever, false) X(kTimestampadd, "TIMESTAMPADD", kNever, false) \
  X(kTimestampdiff, "TIMESTAMPDIFF", kNever, false) X(kTinyblob, "TINYBLOB", kAlways, true) \
  X(kTinyint, "TINYINT", kAlways, true) X(kTinytext, "TINYTEXT", kAlways, true) \
  X(kTo, "TO", kAlways, true) X(kTrailing, "TRAILING", kAlways, true) \
  X(kTransaction, "TRANSACTION", kNever, false) X(kTrigger, "TRIGGER", kAlways, true) \
  X(kTrim, "TRIM", kNever, false) X(kTrue, "TRUE", kAlways, true) \
  X(kTruncate, "TRUNCATE", kNever, false) X(kUnbounded, "UNBOUNDED", kNever, false) \
  X(kUndo, "UNDO", kAlways, true) X(kUninstall, "UNINSTALL", kNever, false) \
  X(kUnion, "UNION", kAlways, true) X(kUnique, "UNIQUE", kAlways, true) \
  X(kUnknown, "UNKNOWN", kNever, false) X(kUnlock, "UNLOCK", kAlways, true) \
  X(kUnsigned, "UNSIGNED", kAlways, true) X(kUpdate, "UPDATE", kAlways, true) \
  X(kUsage, "USAGE", kAlways, true) X(kUse, "USE", kAlways, true) X(kUsing, "USING", kAlways, true) \
  X(kUtcDate, "UTC_DATE", kAlways, true) X(kUtcTime, "UTC_TIME", kAlways, true) \
  X(kUtcTimestamp, "UTC_TIMESTAMP", kAlways, true) X(kValue, "VALUE", kNever, false) \
  X(kValues, "VALUES", kAlways, true) X(kVarbinary, "VARBINARY", kAlways, true) \
  X(kVarchar, "VARCHAR", kAlways, true) X(kVarcharacter, "VARCHARACTER", kAlways, true) \
  X(kVariance, "VARIANCE", kNever, false) X(kVarying, "VARYING", kAlways, true) \
  X(kVarPop, "VAR_POP", kNever, false) X(kVarSamp, "VAR_SAMP", kNever, false) \
  X(kVirtual, "VIRTUAL", kAlways, false) X(kWait, "WAIT", kNever, false) \
  X(kWeek, "WEEK", kNever, false) X(kWeightString, "WEIGHT_STRING", kNever, false) \
  X(kWhen, "WHEN", kAlways, true) X(kWhere, "WHERE", kAlways, true) \
  X(kWhile, "WHILE", kAlways, true) X(kWindow, "WINDOW", 80000, false) \
  X(kWith, "WITH", kAlways, true) X(kWithin, "WITHIN", kNever, false) \
  X(kWork, "WORK", kNever, false) X(kWrite, "WRITE", kAlways, true) X(kXa, "XA", kNever, false) \
  X(kXor, "XOR", kAlways, true) X(kYear, "YEAR", kNever, false) \
  X(kYearMonth, "YEAR_MONTH", kAlways, true) X(kZerofill, "ZEROFILL", kAlways, true) \
  X(kZone, "ZONE", kNever, false)

namespace crossfade::rewrite {

enum class Kw : uint16_t {
  kNone,
#define CROSSFADE_KEYWORD(name, word, mysql, mariadb) name,
  CROSSFADE_KEYWORDS(CROSSFADE_KEYWORD)
#undef CROSSFADE_KEYWORD
};

// kNone: not a word of the grammar. Letters of either case.
Kw FindKeyword(std::string_view word);
bool IsReserved(Kw keyword, const Dialect& dialect);
// MICROSECOND ... YEAR, DAY_HOUR ...: the unit of an interval.
bool IsUnit(Kw keyword);

}  // namespace crossfade::rewrite
