export default {
  // Node.js runs TypeScript as it is; Jest has to be told how.
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': './jest.transform.js' },
}
