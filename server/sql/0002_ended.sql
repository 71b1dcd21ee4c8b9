-- The epochs that have ended, and where each user's history stood then: up to there it is the history of
-- today. Account 0 is nobody's: its line says that the epoch was here, for users who came later.

CREATE TABLE ended (
  account INTEGER NOT NULL,
  epoch   TEXT    NOT NULL,
  seq     INTEGER NOT NULL,
  PRIMARY KEY (epoch, account)
) STRICT, WITHOUT ROWID;
