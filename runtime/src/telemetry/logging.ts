/** Logs JSON lines on stdout with the ids of the request or job, and without secrets. */
import type { LoggerService } from "@nestjs/common";
import { type Bindings, type DestinationStream, type Logger, pino } from "pino";
import { logContext } from "./logContext.ts";
import { redact, withoutSecretFields } from "./redact.ts";
import { tracing } from "./tracing.ts";

/**
 * `destination` is stdout by default, written synchronously: lines that wait in a thread could be late or lost when
 * the process ends.
 */
export function createLogger(
  level: string,
  role: string,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Logger {
  const options = {
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    mixin: () => ({ ...logContext(), traceId: tracing().traceId() }),
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Record<string, unknown>) => withoutSecretFields(fields),
    },
    hooks: { streamWrite: redact },
    serializers: {
      err: describeError,
    },
  };
  const logger: Logger = pino(options, destination);
  // The formatters of pino do not see the fields of a child logger.
  const { child } = logger;
  logger.child = function (this: Logger, fields: Bindings, ...rest: unknown[]) {
    return Reflect.apply(child, this, [withoutSecretFields(fields), ...rest]);
  } as Logger["child"];
  return logger;
}

/**
 * An error that has neither a code nor a cause is a fault in our code, so its stack is logged. An error of the network or
 * of a server has a code or a cause, and is logged with its message, code and cause.
 */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name: type, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  if (code === undefined && cause === undefined) return { type, message, stack };
  return { type, message, code, ...(cause !== undefined && { cause: describeError(cause) }) };
}

/** Writes the messages of Nest to the same log. Nest's ordinary messages, such as those at a start, get the level `debug`. */
export function nestLogger(logger: Logger): LoggerService {
  const line =
    (level: "debug" | "warn" | "error" | "fatal") =>
    (message: unknown, ...rest: unknown[]) => {
      const context = rest.at(-1);
      logger[level](
        { ...(typeof context === "string" && { context }), ...(message instanceof Error && { err: message }) },
        String(message instanceof Error ? message.message : message),
      );
    };
  return {
    log: line("debug"),
    debug: line("debug"),
    verbose: line("debug"),
    warn: line("warn"),
    error: line("error"),
    fatal: line("fatal"),
  };
}
