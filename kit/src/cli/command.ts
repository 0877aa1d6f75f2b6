/** One command of `rds-iam`, or a program of its own. */
export interface Command {
  readonly help: string
  /**
   * @returns The status that the process ends with, at once or when nothing keeps it alive: 0, or 1 where
   * what was asked about is wrong.
   */
  run(args: readonly string[]): Promise<number>
}
