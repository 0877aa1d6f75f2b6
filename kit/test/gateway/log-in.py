"""Logs in as a Python application does, with a token of boto3 over verified TLS, and prints who it is then."""

import json
import sys

import boto3

engine, port, user, ca, options = sys.argv[1:]
address = {"host": "localhost", "port": int(port), "user": user}
token = boto3.client("rds").generate_db_auth_token(
    DBHostname=address["host"], Port=address["port"], DBUsername=user
)
if engine == "postgres":
    import psycopg

    tls = {"sslmode": "verify-full", "sslrootcert": ca}
    connection = psycopg.connect(**address, password=token, dbname="orders", **tls, **json.loads(options))
    print(connection.execute("SELECT current_user").fetchone()[0])
else:
    import pymysql

    tls = {"ssl_ca": ca, "ssl_verify_cert": True, "ssl_verify_identity": True}
    connection = pymysql.connect(**address, password=token, database="orders", **tls)
    with connection.cursor() as cursor:
        cursor.execute("SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)")
        print(cursor.fetchone()[0])
connection.close()
