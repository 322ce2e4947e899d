import { expect, test } from "vitest";
import { endToEnd } from "./hopByHop.ts";

test("headers of the connection, and those that `Connection` names, are removed", () => {
  const headers = {
    host: "berth.example",
    authorization: "Bearer x",
    connection: "keep-alive, X-Own",
    "x-own": "1",
    "keep-alive": "timeout=5",
    te: "trailers",
    "transfer-encoding": "chunked",
    upgrade: "h2c",
    expect: "100-continue",
    traceparent: "00-1-2-01",
  };
  expect(endToEnd(headers)).toEqual({
    host: "berth.example",
    authorization: "Bearer x",
    traceparent: "00-1-2-01",
  });
});
