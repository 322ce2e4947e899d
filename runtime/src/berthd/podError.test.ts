import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { podErrorOf } from "./podError.ts";

/** The error of a call, caused by a Node.js error with this code. */
const failed = (code: Code, errno?: string) =>
  new ConnectError("why", code, undefined, undefined, errno && Object.assign(new Error(errno), { code: errno }));
/** The error of a call, with the reason that berthd gives. */
const because = (reason: string, code: Code) => new ConnectError("why", code, { "berth-reason": reason });

test.each([
  [failed(Code.NotFound), "missing"],
  [failed(Code.ResourceExhausted), "full"],
  [because("open-files", Code.ResourceExhausted), "busy"],
  [failed(Code.FailedPrecondition), "conflict"],
  [because("etag", Code.FailedPrecondition), "changed"],
  [failed(Code.Unimplemented), "absent"],
  [failed(Code.Unavailable, "ECONNREFUSED"), "absent"],
  [failed(Code.Unavailable, "ETIMEDOUT"), "unreachable"],
  [failed(Code.Internal, "EHOSTUNREACH"), "unreachable"],
  [failed(Code.Internal, "EPIPE"), "unreachable"],
  [failed(Code.Aborted), "unreachable"],
  [failed(Code.Canceled), "canceled"],
  [failed(Code.Unauthenticated), "broken"],
  [failed(Code.Internal), "broken"],
])("%s is %s", (error, kind) => {
  expect(podErrorOf(error)).toMatchObject({ kind, message: "why", cause: error });
});

test.each([
  ["ECONNREFUSED", "absent"],
  ["ECONNRESET", "unreachable"],
  ["ABORT_ERR", "canceled"],
])("Node's own %s is %s", (code, kind) => {
  expect(podErrorOf(Object.assign(new Error("why"), { code }))).toMatchObject({ kind, message: "why" });
});

test("other errors are not converted", () => {
  expect(podErrorOf(new Error("no"))).toBeUndefined();
  expect(podErrorOf(Object.assign(new Error("no"), { code: "ERR_INVALID_ARG_TYPE" }))).toBeUndefined();
  expect(podErrorOf(undefined)).toBeUndefined();
});
