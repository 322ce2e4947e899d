import { expect, test } from "vitest";
import { daemonConfig } from "./docker.ts";

test("the daemon gets the setting of its OOM score as long as it knows that", () => {
  const old = "      --oom-score-adjust int                  Set the oom_score_adj for the daemon (default -500)";
  expect(daemonConfig(old)).toHaveProperty("oom-score-adjust", 0);
  expect(daemonConfig("      --no-proxy string    Comma-separated list")).not.toHaveProperty("oom-score-adjust");
});
