import { App } from 'aws-cdk-lib'
import { DatabaseStack } from './database-stack.ts'
import { OrdersStack } from './orders-stack.ts'

const app = new App()
const { vpc, database } = new DatabaseStack(app, 'Database')
new OrdersStack(app, 'Orders', { vpc, database })
