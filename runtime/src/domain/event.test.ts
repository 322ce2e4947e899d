import { expect, test } from "vitest";
import { isPosted } from "./event.ts";

test("webhooks get changes, progress and commands, but not the uses, which may be thousands", () => {
  for (const type of ["created", "ready", "progress", "command", "gone"]) expect(isPosted(type), type).toBe(true);
  for (const type of ["process", "file", "desktop", "ticket", "log", "port"]) expect(isPosted(type), type).toBe(false);
});
