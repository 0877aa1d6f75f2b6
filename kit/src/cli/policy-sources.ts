/**
 * Reads policies and templates. Whoever needs none of them does without this, and without the parser of YAML.
 *
 * @module
 */
export { mergePolicies, readPolicyFile } from './policy-file.ts'
export { readTemplateFlags } from './template-input.ts'
