/** What an error of berthd's services means; pure. */
import { Code, ConnectError } from "@connectrpc/connect";

/** What went wrong, for programs. */
export const podErrorKinds = [
  /** The input is wrong. */
  "invalid",
  /** What was asked for is not there. */
  "missing",
  /** Something is in the way. */
  "exists",
  /** The file system or berthd does not let it be done. */
  "forbidden",
  /** It can't be done with what is there: a folder in a file's place, a program without stdin. */
  "conflict",
  /** The file has not the ETag that the caller expects. */
  "changed",
  /** There is no room: a full disk, too many programs or watches. */
  "full",
  /** The offset lies behind the file's end. */
  "range",
  /** The pod has no such service: it was made before there were any. */
  "absent",
  /** The pod does not answer, or its answer was cut off. */
  "unreachable",
  /** The caller has ended the call. */
  "canceled",
  /** The pod answers, but not as berthd does. */
  "broken",
] as const;
export type PodErrorKind = (typeof podErrorKinds)[number];

const kinds: Partial<Record<Code, PodErrorKind>> = {
  [Code.InvalidArgument]: "invalid",
  [Code.NotFound]: "missing",
  [Code.AlreadyExists]: "exists",
  [Code.PermissionDenied]: "forbidden",
  [Code.FailedPrecondition]: "conflict",
  [Code.ResourceExhausted]: "full",
  [Code.OutOfRange]: "range",
  [Code.Unimplemented]: "absent",
  [Code.Unavailable]: "unreachable",
  [Code.DeadlineExceeded]: "unreachable",
  [Code.Aborted]: "unreachable",
  [Code.Canceled]: "canceled",
};

export class PodError extends Error {
  override name = "PodError";
  constructor(
    readonly kind: PodErrorKind,
    message: string,
    options?: ErrorOptions,
    /** The field of the input that berthd finds to blame, where it says so. */
    readonly field?: string,
  ) {
    super(message, options);
  }
}

/** The error of a call as a PodError; undefined if it is of another kind. */
export function podErrorOf(error: unknown): PodError | undefined {
  if (error instanceof PodError) return error;
  if (!(error instanceof ConnectError)) return systemErrorOf(error);
  if (error.metadata.get("berth-reason") === "etag") return new PodError("changed", error.rawMessage, { cause: error });
  const codes = errnosOf(error);
  // Nobody listens at the port: berthd does from the pod's first moment to its last.
  if (codes.includes("ECONNREFUSED")) return new PodError("absent", error.rawMessage, { cause: error });
  const isAway = codes.some((code) => away.has(code));
  const field = error.metadata.get("berth-field") ?? undefined;
  const kind = isAway ? "unreachable" : (kinds[error.code] ?? "broken");
  return new PodError(kind, error.rawMessage, { cause: error }, field);
}

/** An error of Node's own, from a connection without Connect. */
function systemErrorOf(error: unknown): PodError | undefined {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined) return undefined;
  const kind = code === "ABORT_ERR" ? "canceled" : code === "ECONNREFUSED" ? "absent" : undefined;
  if (kind === undefined && !away.has(code)) return undefined;
  return new PodError(kind ?? "unreachable", message, { cause: error });
}

/** What Node calls the ways in which a connection is not there, or not any more. */
const away = new Set([
  ..."ETIMEDOUT EHOSTUNREACH ENETUNREACH ECONNRESET EPIPE ECONNABORTED EAI_AGAIN".split(" "),
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** The codes of the errors that caused this one. */
function errnosOf(error: unknown): string[] {
  const found: string[] = [];
  for (let one: unknown = error, depth = 0; one instanceof Error && depth < 8; one = one.cause, depth += 1) {
    const { code } = one as NodeJS.ErrnoException;
    if (typeof code === "string") found.push(code);
    if (one instanceof AggregateError) found.push(...one.errors.flatMap(errnosOf));
  }
  return found;
}
