/** Logs: JSON lines on stdout, without secrets. */
import type { LoggerService } from "@nestjs/common";
import { type DestinationStream, type Logger, pino } from "pino";

/** The URL without the values that let somebody in. */
export function withoutSecrets(url: string): string {
  return url.replace(/([?&](?:ticket|token|key|access_token)=)[^&#]*/gi, "$1[redacted]");
}

/** `destination` is stdout by default. */
export function createLogger(level: string, role: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ["authorization", "ticket", "token", "*.authorization", "*.ticket", "*.token", "*.password"],
      censor: "[redacted]",
    },
    serializers: {
      err: describeError,
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** A stack helps with our own mistakes; what the network or a server says is told by its message, code and cause. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name: type, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  if (code === undefined && cause === undefined) return { type, message, stack };
  return { type, message, code, ...(cause !== undefined && { cause: describeError(cause) }) };
}

/** Nest's own messages in the same log; its start-up chatter only at debug. */
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
