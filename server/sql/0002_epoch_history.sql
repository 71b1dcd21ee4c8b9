-- The epochs that have ended, and the last version of each user's history in them: up to there it is
-- the same as today's. The line of account 0, which no user has, records the epoch for users who came
-- later.

CREATE TABLE epoch_history (
  account INTEGER NOT NULL,
  epoch   TEXT    NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (epoch, account)
) STRICT, WITHOUT ROWID;
