import { expect, test } from "vitest";
import { invalidInput } from "./http/problem.ts";
import { CreateBody } from "./sessionJson.ts";

/** The API's error for the body. */
function detailOf(body: object): string | undefined {
  const parsed = CreateBody.safeParse({ tier: "small", ...body });
  return parsed.success ? undefined : invalidInput(parsed.error.issues).body.detail;
}

test.each([
  [
    { env: { BERTH_X: "1" } },
    /^env\.BERTH_X has a name that is not allowed: a name must be a variable's name: .*BERTH_\.$/,
  ],
  [{ secrets: { "A=B": "1" } }, /^secrets\.A=B has a name that is not allowed: /],
  [{ labels: { "a\0b": "1" } }, /^labels\.a\0b has a name that is not allowed: a name must be 1 to 63 letters/],
  [{ env: { A: 1 } }, /^env\.A must be text\.$/],
  [{ env: "A=1" }, /^env must be an object of strings\.$/],
  [{ env: [] }, /^env must be an object of strings\.$/],
])("the rule that is named is the rule that was broken: %j", (body, detail) => {
  expect(detailOf(body)).toMatch(detail);
});
