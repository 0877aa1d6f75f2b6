-- What the sample function needs in a database on Amazon RDS or Aurora MySQL, or RDS for MariaDB. Run it
-- once, as the master user:
--   mysql -h <endpoint> -u <master user> -p notes < src/sample/notes-mysql.sql

-- https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
CREATE USER 'notes_app' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS';
ALTER USER 'notes_app'@'%' REQUIRE SSL;

CREATE TABLE notes (
  id integer AUTO_INCREMENT PRIMARY KEY,
  text text CHARACTER SET utf8mb4 NOT NULL,
  created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- No more than the function does: it cannot change or delete a note, nor the table.
GRANT SELECT, INSERT ON notes TO 'notes_app'@'%';
