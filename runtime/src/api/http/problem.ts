/** Errors in the form in which users get them: application/problem+json (RFC 9457). */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { isDatabaseUnavailable } from "../../store/database.ts";

/** What is wrong with one field of the input. */
const FieldFault = z.object({ field: z.string(), rule: z.string() });
export type FieldFault = z.infer<typeof FieldFault>;

export const ProblemJson = z
  .object({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: "A text for users: what is wrong, and what to do about it." }),
    errors: z.array(FieldFault).optional().meta({ description: "The fields that are wrong." }),
  })
  .meta({ id: "Problem" });
export type ProblemBody = z.infer<typeof ProblemJson>;

const titles: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Payload Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  422: "Unprocessable Content",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

export function problemBody(status: number, detail: string, errors?: FieldFault[]): ProblemBody {
  const title = titles[status] ?? (status < 500 ? "Bad Request" : "Internal Server Error");
  return { type: "about:blank", title, status, detail, ...(errors && { errors }) };
}

/** An error answer. `detail` is a text for the user: what is wrong, and what to do. */
export class Problem extends HttpException {
  constructor(
    status: number,
    detail: string,
    errors?: FieldFault[],
    /** In how many seconds a retry may succeed; sent as Retry-After. */
    readonly retryAfterSeconds?: number,
  ) {
    super(problemBody(status, detail, errors), status);
  }

  get body(): ProblemBody {
    return this.getResponse() as ProblemBody;
  }
}

type StandardIssue = { message: string; path?: readonly unknown[] | undefined; code?: string; keys?: string[] };

/**
 * Turns a schema's issues into a 400 that names each field and its rule. `whole` is the name for the input as a whole.
 */
export function invalidInput(issues: readonly unknown[], whole = "body"): Problem {
  const errors = (issues as StandardIssue[]).slice(0, 20).flatMap((issue): FieldFault[] => {
    const path = (issue.path ?? []).map((segment) =>
      String(typeof segment === "object" && segment !== null && "key" in segment ? segment.key : segment),
    );
    if (issue.code === "unrecognized_keys") {
      return (issue.keys ?? []).slice(0, 20).map((key) => ({ field: fieldName([...path, key]), rule: "is not known" }));
    }
    return [{ field: path.length === 0 ? whole : fieldName(path), rule: issue.message }];
  });
  const detail = errors.map(({ field, rule }) => `${field} ${rule}`).join("; ");
  return new Problem(400, `${detail}.`, errors);
}

/** The field's path. Names that the sender made up may be empty or very long. */
const fieldName = (path: string[]) => path.map((segment) => (segment === "" ? '""' : segment.slice(0, 100))).join(".");

/** Gives every error the same form. An unexpected error reveals only the request's id, which is also in the log. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    sendProblem(error, request, reply, this.logger);
  }
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const body = bodyFor(error, request, logger);
  if (body.status >= 500 && body.status !== 503) logger.error({ err: error }, "request failed");
  if (body.status === 401) reply.header("www-authenticate", "Bearer");
  const retryAfter = retryAfterOf(error, body);
  if (retryAfter !== undefined) reply.header("retry-after", String(retryAfter));
  reply.status(body.status).type("application/problem+json").send(JSON.stringify(body));
}

const databaseAway = problemBody(503, "The database can't be reached at the moment. Please try again.");

/** The answer of a gateway to an error. If Berth itself is at fault, the error is logged with the message `failed`. */
export function problemOf(error: unknown, logger: Pick<Logger, "error">, failed: string): ProblemBody {
  if (error instanceof Problem) return error.body;
  if (isDatabaseUnavailable(error)) return databaseAway;
  logger.error({ err: error }, failed);
  return problemBody(500, "Something went wrong on our side.");
}

/** How many seconds the client should wait before a retry; undefined: the answer has no header Retry-After. */
export function retryAfterOf(error: unknown, body: ProblemBody): number | undefined {
  return (error instanceof Problem ? error.retryAfterSeconds : undefined) ?? (body.status === 503 ? 2 : undefined);
}

function bodyFor(error: unknown, request: FastifyRequest, logger: Logger): ProblemBody {
  if (error instanceof Problem) return error.body;
  if (isDatabaseUnavailable(error)) {
    logger.warn({ err: error }, "the database does not answer");
    return databaseAway;
  }
  const status = error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown }).statusCode;
  if (typeof status === "number" && status >= 400 && status < 500) {
    const path = request.url.split("?")[0];
    if (status === 404) return problemBody(404, `There is nothing at ${request.method} ${path}.`);
    const fault = status === 400 ? faultOf(error) : undefined;
    return problemBody(status, fault ? `${fault.field} ${fault.rule}.` : (error as Error).message, fault && [fault]);
  }
  return problemBody(
    500,
    `Something went wrong on our side. Please name the request id ${request.id} when you report it.`,
  );
}

/** The fault of a request that could not be parsed. */
function faultOf(error: unknown): FieldFault {
  const { code } = error as { code?: unknown };
  if (code === "FST_ERR_BAD_URL") return { field: "path", rule: "must be valid percent-encoding" };
  if (code === "FST_ERR_CTP_INVALID_CONTENT_LENGTH")
    return { field: "Content-Length", rule: "must be the body's length" };
  return { field: "body", rule: "must be valid JSON without a key __proto__" };
}
