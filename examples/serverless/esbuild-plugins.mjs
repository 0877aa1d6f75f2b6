import { rdsIam } from 'middy-rds-iam/esbuild'

/** Leaves out of the bundles what a function does not need, and brings the Region's authorities. */
export default [rdsIam({ regions: ['eu-west-1'] })]
