/** `wait=running`, also for a session that is resumed while it is still suspending. */
import { until } from "@berth/testing/until.ts";
import { expect, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import { call, openApi } from "../testing/api.ts";

test("resume?wait=running answers when the session is running, and not while it is suspending", async () => {
  const api = await openApi();
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const apply = async (event: SessionEvent) => {
    const seen = await api.store.queries.find(id);
    if (seen !== undefined) await api.store.commands.apply(seen, event, { name: "worker" });
  };
  const running: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }];
  for (const event of running) await apply(event);
  expect((await call(api, "POST", `/v1/sessions/${id}/suspend`)).json.state).toBe("suspending");
  const answer = call(api, "POST", `/v1/sessions/${id}/resume?wait=running`);
  await until("the session is to come up again", 30, async () => (await api.store.queries.find(id))?.resumes);
  for (const event of [{ type: "vacated" } as const, ...running]) await apply(event);
  expect(await answer).toMatchObject({ status: 202, json: { id, state: "running" } });
});
