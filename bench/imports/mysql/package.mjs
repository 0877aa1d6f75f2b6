export { iamMysql } from 'middy-rds-iam/mysql2'
