import { expect, test } from "vitest";
import { portOf, SandboxUrl } from "./sandboxUrl.ts";

const sessionId = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const sessionPort = { sessionId, port: 8080 };

test("a URL that is made for a port is parsed again: a host for each port, or a path of one host", () => {
  for (const [text, address, path, prefix] of [
    ["https://*.sandbox.example.org", `https://8080-${sessionId}.sandbox.example.org/`, "/a?b", ""],
    ["http://*.localhost:30090", `http://8080-${sessionId}.localhost:30090/`, "/a?b", ""],
    [
      "https://s.example.org",
      `https://s.example.org/${sessionId}/8080/`,
      `/${sessionId}/8080/a?b`,
      `/${sessionId}/8080`,
    ],
    [
      "http://192.0.2.7:30090",
      `http://192.0.2.7:30090/${sessionId}/8080/`,
      `/${sessionId}/8080/a?b`,
      `/${sessionId}/8080`,
    ],
  ] as const) {
    const url = new SandboxUrl(text);
    expect(url.urlOf(sessionPort)).toBe(address);
    expect(url.find(new URL(address).host, path)).toEqual({ ...sessionPort, path: "/a?b", prefix });
    expect(url.find(new URL(address).host.toUpperCase(), path)).toEqual({ ...sessionPort, path: "/a?b", prefix });
  }
});

test("the form of an address shows where port and session stand", () => {
  expect(new SandboxUrl("http://*.localhost:30090").form).toBe("http://<port>-<session id>.localhost:30090/");
  expect(new SandboxUrl("https://s.example.org").form).toBe("https://s.example.org/<session id>/<port>/");
});

test("a path without a slash at its end is the program's root", () => {
  const url = new SandboxUrl("https://s.example.org");
  expect(url.find("s.example.org", `/${sessionId}/80`)?.path).toBe("/");
  expect(url.find("s.example.org", `/${sessionId}/80?x`)?.path).toBe("/?x");
  expect(url.find("s.example.org", `/${sessionId}/80x`)).toBeUndefined();
});

test.each([
  ["https://*.sandbox.example.org", "https://sandbox.example.org", true],
  ["https://*.sandbox.example.org", "https://berth.sandbox.example.org", true],
  ["https://*.sandbox.example.org", "http://berth.sandbox.example.org:8080", true],
  ["https://*.sandbox.example.org", "https://example.org", true],
  ["https://*.example.org", "https://berthexample.org", false],
  ["https://*.example.org", "https://192.0.2.7", false],
  ["http://*.localhost:1", "http://berth.localhost:1", true],
  ["http://*.localhost:1", "http://localhost:2", false], // no page can set cookies for a name without a dot
  ["http://a.example:1", "http://a.example:1", true],
  ["http://a.example:1", "http://a.example:2", false],
  ["https://sandbox.example.org", "https://example.org", false],
])("whether sessions' pages at %s are too near to %s: %s", (text, address, isTooNear) => {
  expect(new SandboxUrl(text).isTooNear(address)).toBe(isTooNear);
});

test("port numbers are accepted as people write them", () => {
  expect(["1", "65535"].map(portOf)).toEqual([1, 65_535]);
  for (const text of ["0", "65536", "022", "-1", "+1", "1e1", "1.0", " 1", "", "x"])
    expect(portOf(text)).toBeUndefined();
});
