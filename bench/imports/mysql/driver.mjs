export { default } from 'mysql2/promise'
