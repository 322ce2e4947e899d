import { test } from "vitest";
import { expectNoChanges } from "./stack.ts";

test("right after `npm run up`, the stack has no changes", expectNoChanges);
