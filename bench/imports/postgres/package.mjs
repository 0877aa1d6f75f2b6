export { iamPg } from 'middy-rds-iam/pg'
