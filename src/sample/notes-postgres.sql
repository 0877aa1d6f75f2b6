-- What the sample function needs in a database on Amazon RDS or Aurora PostgreSQL. Run it once, as the master
-- user:
--   psql "host=<endpoint> user=<master user> dbname=notes" -f src/sample/notes-postgres.sql

-- https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
CREATE USER notes_app;
GRANT rds_iam TO notes_app;

CREATE TABLE notes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- No more than the function does: it cannot change or delete a note, nor the table.
GRANT SELECT, INSERT ON notes TO notes_app;
