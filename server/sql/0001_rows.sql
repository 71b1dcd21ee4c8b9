-- One file per version of the schema; a released file never changes.

CREATE TABLE setting (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A user, by the `sub` of the tokens. `seq` is the version of the latest write, `floor` the greatest
-- version of a removed tombstone.
CREATE TABLE account (
  no    INTEGER NOT NULL PRIMARY KEY,
  user  TEXT    NOT NULL UNIQUE,
  seq   INTEGER NOT NULL DEFAULT 0,
  floor INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Rows and tombstones. Keyed by user first, so that an id reveals nothing about other users.
CREATE TABLE entity (
  account    INTEGER NOT NULL,
  entity     TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  deleted    INTEGER NOT NULL,
  written_at INTEGER NOT NULL,
  data       TEXT,
  UNIQUE (account, entity, id)
) STRICT;
-- A pull reads a range of one of these indexes, with or without a filter by entity type. They include
-- `deleted` so that counting never reads a row.
CREATE UNIQUE INDEX entity_by_version ON entity (account, version, deleted);
CREATE INDEX entity_by_type ON entity (account, entity, version, deleted);
CREATE INDEX tombstone_by_time ON entity (written_at, account, version) WHERE deleted = 1;

-- Applied operations, so that one that is sent again is answered and not applied.
CREATE TABLE operation (
  account    INTEGER NOT NULL,
  op_id      TEXT    NOT NULL,
  entity     TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  written_at INTEGER NOT NULL,
  PRIMARY KEY (account, op_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_by_time ON operation (written_at);

-- Count and hash of the live rows, updated by the transaction that writes them.
CREATE TABLE digest (
  account INTEGER NOT NULL,
  entity  TEXT    NOT NULL,
  count   INTEGER NOT NULL,
  sum     INTEGER NOT NULL,
  PRIMARY KEY (account, entity)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
  account    INTEGER NOT NULL,
  device     TEXT    NOT NULL,
  written_at INTEGER NOT NULL,
  record     TEXT    NOT NULL,
  PRIMARY KEY (account, device)
) STRICT, WITHOUT ROWID;
