/** Classifies the errors of berthd's services. No I/O. */
import { Code, ConnectError } from "@connectrpc/connect";

/** The kinds of errors. */
export const podErrorKinds = [
  /** The input is not valid. */
  "invalid",
  /** The requested object does not exist. */
  "missing",
  /** Another object is in the way, for example a file that already exists. */
  "exists",
  /** The file system or berthd forbids the action. */
  "forbidden",
  /** The object does not support the action: a folder in place of a file, a program without stdin. */
  "conflict",
  /** The file's ETag is not the one that the caller expects. */
  "changed",
  /** A limit is reached: the disk is full, or there are too many programs or watches. */
  "full",
  /** No further file can be opened now, because too many files are open in the pod or on its node. */
  "busy",
  /** The offset is beyond the end of the file. */
  "range",
  /** The pod does not have this service, because the pod was created before the service existed. */
  "absent",
  /** The pod does not answer, or its answer was cut off. */
  "unreachable",
  /** The caller has cancelled the call. */
  "canceled",
  /** berthd has a fault, or the answer is not a valid answer of berthd. */
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

/** The kinds of errors that share their code with other errors, by the reason that berthd gives. */
const reasons: Partial<Record<string, PodErrorKind>> = { etag: "changed", "open-files": "busy" };

export class PodError extends Error {
  override name = "PodError";
  constructor(
    readonly kind: PodErrorKind,
    message: string,
    options?: ErrorOptions,
    /** The input field that berthd names as the cause, if it names one. */
    readonly field?: string,
  ) {
    super(message, options);
  }
}

/** Converts the error of a request to berthd to a PodError; undefined if the error has another cause. */
export function podErrorOf(error: unknown): PodError | undefined {
  if (error instanceof PodError) return error;
  if (!(error instanceof ConnectError)) return systemErrorOf(error);
  const reason = reasons[error.metadata.get("berth-reason") ?? ""];
  if (reason !== undefined) return new PodError(reason, error.rawMessage, { cause: error });
  const codes = errnosOf(error);
  // Nothing listens at the port. A berthd with services listens as long as its pod lives, so this pod's berthd has none.
  if (codes.includes("ECONNREFUSED")) return new PodError("absent", error.rawMessage, { cause: error });
  const isAway = codes.some((code) => away.has(code));
  const field = error.metadata.get("berth-field") ?? undefined;
  const kind = isAway ? "unreachable" : (kinds[error.code] ?? "broken");
  return new PodError(kind, error.rawMessage, { cause: error }, field);
}

/** Converts an error with which Node.js reports that a request or its connection failed; undefined for other errors. */
function systemErrorOf(error: unknown): PodError | undefined {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined) return undefined;
  const kind = code === "ABORT_ERR" ? "canceled" : code === "ECONNREFUSED" ? "absent" : undefined;
  if (kind === undefined && !away.has(code)) return undefined;
  return new PodError(kind ?? "unreachable", message, { cause: error });
}

/** Node's error codes for a connection that could not be opened or was lost. */
const away = new Set([
  ..."ETIMEDOUT EHOSTUNREACH ENETUNREACH ECONNRESET EPIPE ECONNABORTED EAI_AGAIN".split(" "),
  "ERR_STREAM_PREMATURE_CLOSE",
]);

/** The codes of the error and of its causes. */
function errnosOf(error: unknown): string[] {
  const found: string[] = [];
  for (let one: unknown = error, depth = 0; one instanceof Error && depth < 8; one = one.cause, depth += 1) {
    const { code } = one as NodeJS.ErrnoException;
    if (typeof code === "string") found.push(code);
    if (one instanceof AggregateError) found.push(...one.errors.flatMap(errnosOf));
  }
  return found;
}
