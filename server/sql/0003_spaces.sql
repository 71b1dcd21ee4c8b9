-- Rows belong to spaces: one of each user's own, and those that several users share. What was keyed
-- by account is keyed by space, with the same numbers: an account becomes its user's space.

-- Either `user` or `id` names a space, so that neither can be taken for the other. `revision` and
-- `members` of a user's own space are of the list of shared spaces that the user is in; `members` of
-- a shared space counts its members, none once it has ended. Its line stays: its id is never used again.
CREATE TABLE space (
  no       INTEGER NOT NULL PRIMARY KEY,
  user     TEXT UNIQUE,
  id       TEXT UNIQUE,
  seq      INTEGER NOT NULL DEFAULT 0,
  floor    INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0,
  members  INTEGER NOT NULL DEFAULT 0,
  CHECK ((user IS NULL) <> (id IS NULL))
) STRICT;
INSERT INTO space (no, user, seq, floor) SELECT no, user, seq, floor FROM account;
DROP TABLE account;

-- Which users are in which spaces, by the numbers of both. A cursor names a space by `number`, which
-- a membership keeps when it ends (role 0) and begins again. `joined` orders a user's list.
CREATE TABLE member (
  user   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  space  INTEGER NOT NULL,
  role   INTEGER NOT NULL,
  joined INTEGER NOT NULL,
  PRIMARY KEY (user, number),
  UNIQUE (space, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX owner ON member (space) WHERE role = 3;

ALTER TABLE entity RENAME COLUMN account TO space;
-- Of a tombstone: the space that the row was moved to.
ALTER TABLE entity ADD COLUMN moved_to INTEGER;
ALTER TABLE digest RENAME COLUMN account TO space;
ALTER TABLE epoch_history RENAME COLUMN account TO space;
ALTER TABLE device RENAME COLUMN account TO user;
ALTER TABLE operation RENAME COLUMN account TO user;
-- 0 is the user's own.
ALTER TABLE operation ADD COLUMN space INTEGER NOT NULL DEFAULT 0;
-- Of a move: the version of the tombstone that it left.
ALTER TABLE operation ADD COLUMN left_version INTEGER NOT NULL DEFAULT 0;
