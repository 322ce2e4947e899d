/** Lets the program end when Pulumi's engine was killed. */

/**
 * Ends the process with the exit code 1 as soon as nobody reads its output. Without this function, the process would use a
 * processor for ever: Pulumi's SDK writes each error to the closed pipe, and each such write causes the next error.
 */
export function endWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr])
    if (stream.listenerCount("error") === 0) stream.on("error", () => process.exit(1));
}
