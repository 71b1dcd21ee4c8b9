-- One file per version of the schema; a released file never changes. `BY SPACE` becomes nothing, or
-- what partitions a table by its space: every key begins with it. A space is `u:` and a user, or `s:`
-- and the id of a shared one. What belongs to a user is in the space of that user.

CREATE TABLE datum_server.setting (
  name  text NOT NULL PRIMARY KEY,
  value text NOT NULL
);

-- The epochs that have ended.
CREATE TABLE datum_server.epoch (
  epoch text COLLATE "C" NOT NULL PRIMARY KEY
);

-- `seq` is the version of the latest write, `floor` the greatest version of a removed tombstone.
-- A transaction that writes into a space locks its line first, so versions are in commit order. The
-- line of a shared space stays when that ends: its id is never used again.
CREATE TABLE datum_server.space (
  space   text COLLATE "C" NOT NULL PRIMARY KEY,
  seq     bigint NOT NULL DEFAULT 0,
  floor   bigint NOT NULL DEFAULT 0,
  members bigint NOT NULL DEFAULT 0
) /* BY SPACE */;

-- Rows and tombstones. The data is the text that the app sent: `jsonb` would change it.
CREATE TABLE datum_server.entity (
  space      text COLLATE "C" NOT NULL,
  entity     text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  version    bigint  NOT NULL,
  deleted    boolean NOT NULL,
  written_at bigint  NOT NULL,
  data       text,
  -- Of a tombstone: the space that the row was moved to.
  moved_to   text,
  PRIMARY KEY (space, entity, id)
) /* BY SPACE */;
-- A pull reads a range of one of these indexes, with or without a filter by entity type. They include
-- `deleted` so that counting reads few rows.
CREATE UNIQUE INDEX entity_by_version ON datum_server.entity (space, version) INCLUDE (deleted);
CREATE INDEX entity_by_type ON datum_server.entity (space, entity, version) INCLUDE (deleted);
CREATE INDEX tombstone_by_time ON datum_server.entity (written_at, space, version) WHERE deleted;

-- Count and hash of the live rows, updated by the transaction that writes them.
CREATE TABLE datum_server.digest (
  space  text COLLATE "C" NOT NULL,
  entity text COLLATE "C" NOT NULL,
  count  bigint NOT NULL,
  sum    bigint NOT NULL,
  PRIMARY KEY (space, entity)
) /* BY SPACE */;

-- Where a space's history ended in an epoch that has ended.
CREATE TABLE datum_server.epoch_history (
  space text COLLATE "C" NOT NULL,
  epoch text COLLATE "C" NOT NULL,
  seq   bigint NOT NULL,
  PRIMARY KEY (space, epoch)
) /* BY SPACE */;

-- The members of a shared space, by the users' names.
CREATE TABLE datum_server.member (
  space  text COLLATE "C" NOT NULL,
  member text COLLATE "C" NOT NULL,
  role   smallint NOT NULL,
  PRIMARY KEY (space, member)
) /* BY SPACE */;

-- A user's list of shared spaces: its revision, and how many there are. Not in the user's line of
-- `space`: who invites a user changes this, and must not wait for the user's own pushes.
CREATE TABLE datum_server.reader (
  space    text COLLATE "C" NOT NULL PRIMARY KEY,
  revision bigint NOT NULL,
  spaces   bigint NOT NULL
) /* BY SPACE */;

-- The list. A cursor names a space by `number`, which a membership keeps when it ends (role 0) and
-- begins again. `joined` orders the list.
CREATE TABLE datum_server.membership (
  space  text COLLATE "C" NOT NULL,
  number bigint NOT NULL,
  shared text COLLATE "C" NOT NULL,
  role   smallint NOT NULL,
  joined bigint NOT NULL,
  PRIMARY KEY (space, number),
  UNIQUE (space, shared)
) /* BY SPACE */;

-- A user's applied operations, so that one that is sent again is answered and not applied.
CREATE TABLE datum_server.operation (
  space        text COLLATE "C" NOT NULL,
  op_id        text COLLATE "C" NOT NULL,
  -- The space that it named.
  named        text   NOT NULL,
  entity       text   NOT NULL,
  id           text   NOT NULL,
  version      bigint NOT NULL,
  -- Of a move: the version of the tombstone that it left; else 0.
  left_version bigint NOT NULL,
  written_at   bigint NOT NULL,
  PRIMARY KEY (space, op_id)
) /* BY SPACE */;
CREATE INDEX operation_by_time ON datum_server.operation (written_at);

CREATE TABLE datum_server.device (
  space      text COLLATE "C" NOT NULL,
  device     text COLLATE "C" NOT NULL,
  written_at bigint NOT NULL,
  record     text   NOT NULL,
  PRIMARY KEY (space, device)
) /* BY SPACE */;
