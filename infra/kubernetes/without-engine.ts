/** Lets the program end when Pulumi's engine was killed. */

/**
 * Ends the process with the exit code 1 as soon as nobody reads its output. Without this, an error in that state makes Pulumi's SDK
 * write the error to the closed pipe, which is the next error, so that the process occupies a processor for ever.
 */
export function endWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr])
    if (stream.listenerCount("error") === 0) stream.on("error", () => process.exit(1));
}
