CREATE TABLE "memo" (
	"id" serial PRIMARY KEY NOT NULL,
	"text" text NOT NULL
);
