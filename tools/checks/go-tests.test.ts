import { expect, test } from "vitest";
import { report } from "./go-tests.ts";

test("the output of tests that failed or skipped themselves is printed, and of no others", () => {
  const events = [
    { Action: "output", Package: "p", Test: "TestGood", Output: "    a log line\n" },
    { Action: "output", Package: "p", Test: "TestAway", Output: "    p_test.go:9: this machine has no such thing\n" },
    { Action: "pass", Package: "p", Test: "TestGood" },
    { Action: "output", Package: "p", Test: "TestAway", Output: "--- SKIP: TestAway (0.00s)\n" },
    { Action: "skip", Package: "p", Test: "TestAway" },
    { Action: "output", Package: "p", Test: "TestBad", Output: "    p_test.go:20: on purpose\n" },
    { Action: "fail", Package: "p", Test: "TestBad" },
    { Action: "output", Package: "p", Output: "PASS\n" },
    { Action: "output", Package: "p", Output: "FAIL\tp\t0.1s\n" },
    { Action: "fail", Package: "p" },
  ];
  const lines = ["what is not JSON", ...events.map((event) => JSON.stringify(event))];
  expect(report(lines)).toBe(
    "what is not JSON\n" +
      "    p_test.go:9: this machine has no such thing\n--- SKIP: TestAway (0.00s)\n" +
      "    p_test.go:20: on purpose\n" +
      "FAIL\tp\t0.1s\n",
  );
});
