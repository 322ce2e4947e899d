import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { PodError, podErrorKinds } from "../berthd/podError.ts";
import { Problem } from "./http/problem.ts";
import { serviceProblem } from "./serviceProblem.ts";

test("every kind of error becomes a problem that clients understand", () => {
  const statuses = podErrorKinds.map((kind) => {
    const problem = serviceProblem(new PodError(kind, "why"), { full: 507, exists: 412, field: "path" });
    return [kind, (problem as Problem).body.status];
  });
  expect(Object.fromEntries(statuses)).toEqual({
    invalid: 400,
    missing: 404,
    exists: 412,
    forbidden: 403,
    conflict: 409,
    changed: 412,
    full: 507,
    busy: 429,
    range: 416,
    absent: 409,
    unreachable: 503,
    canceled: 503,
    broken: 502,
  });
});

test("the problem names the field of an invalid input, and berthd's message is a sentence", () => {
  const wrong = serviceProblem(new ConnectError("mode is too large", Code.InvalidArgument), { field: "mode" });
  expect((wrong as Problem).body).toMatchObject({
    status: 400,
    errors: [{ field: "mode", rule: "is not accepted: mode is too large" }],
  });
  const missing = serviceProblem(new ConnectError("there is no program 7", Code.NotFound));
  expect((missing as Problem).body.detail).toBe("There is no program 7.");
});

test("problems and other errors stay unchanged", () => {
  const [problem, error] = [new Problem(404, "no"), new Error("no")];
  expect(serviceProblem(problem)).toBe(problem);
  expect(serviceProblem(error)).toBe(error);
});
