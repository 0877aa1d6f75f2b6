// @types/pg describes the package's entry alone. The file below it is public (`exports` of pg names
// `./lib/*`) and is the JavaScript client whatever NODE_PG_FORCE_NATIVE says; the entry would bring pg-native
// instead, which knows no password function.
declare module 'pg/lib/client.js' {
  import { Client } from 'pg'
  export default Client
}
