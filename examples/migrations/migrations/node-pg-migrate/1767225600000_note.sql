-- Up Migration
CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL);

-- Down Migration
DROP TABLE note;
