import { expect, test } from "vitest";
import { accessCookie, cookieName, cookiesOf, keptCookies, mayUseCookie, toClient, toProgram } from "./headers.ts";

const hosts = { isSecure: true, hasOwnHosts: true };
const paths = { isSecure: true, hasOwnHosts: false };

test("the cookie is valid for its host only, or for the port's path only", () => {
  const given = { value: "v", prefix: "", seconds: 60 };
  expect(accessCookie(hosts, given)).toBe("__Host-berth-port=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
  expect(accessCookie(paths, { ...given, prefix: "/id/80" })).toBe(
    "__Secure-berth-port=v; Path=/id/80/; Max-Age=60; HttpOnly; SameSite=Lax; Secure",
  );
  expect(cookieName({ isSecure: false, hasOwnHosts: true })).toBe("berth-port");
});

test("all cookies with a name are found", () => {
  expect(cookiesOf("a=1; berth-port=x;berth-port=y=z; b; berth-port2=w", "berth-port")).toEqual(["x", "y=z"]);
  expect(cookiesOf(undefined, "berth-port")).toEqual([]);
});

test("a program can set cookies for its own host only, and never Berth's cookie, in any notation", () => {
  expect(
    keptCookies(
      [
        "a=1; Domain=example.org; Path=/",
        "b=2;domain = .example.org;HttpOnly",
        "c; Domain",
        " BERTH-PORT =x",
        "__hOst-berth-port=x; Secure",
        "__Secure-berth-port=x",
        "=berth-port=x",
        "berth-porter=kept",
      ],
      "",
    ),
  ).toEqual(["a=1; Path=/", "b=2;HttpOnly", "berth-porter=kept"]);
  expect(keptCookies(["a=1", "b=2; path=/b; PATH = /c", "c=3; Path=relative"], "/id/80")).toEqual([
    "berth-program-a=1; Path=/id/80/",
    "berth-program-b=2; Path=/id/80/c",
    "berth-program-c=3; Path=/id/80/",
  ]);
});

test("below a path, a program gets only the cookies that it has set, and none that the browser has for a domain above", () => {
  const client = { address: undefined, host: "h", protocol: "https", prefix: "/id/80" };
  const cookieAt = (prefix: string, cookie: string) => toProgram({ cookie }, { ...client, prefix }).cookie;
  const sent = "login=secret; __Secure-berth-port=x; berth-program-a=1;berth-program-b=2=3";
  expect(cookieAt("/id/80", sent)).toBe("a=1; b=2=3");
  expect(cookieAt("/id/80", "login=secret")).toBeUndefined();
  expect(cookieAt("", "a=1; __Host-berth-port=x; b=2")).toBe("a=1; b=2");
});

test("headers of the connection, of the client and of Berth do not reach the program", () => {
  const client = { address: "192.0.2.7", host: "h", protocol: "https", prefix: "" };
  const given = { host: "h", connection: "x-berth-port", te: "trailers", "x-real-ip": "1", "x-forwarded-port": "1" };
  expect(toProgram({ ...given, "x-berth-port": "1", cookie: "berth-port=x", accept: "a" }, client)).toEqual({
    host: "h",
    accept: "a",
    "x-forwarded-for": "192.0.2.7",
    "x-forwarded-host": "h",
    "x-forwarded-proto": "https",
  });
  expect(toProgram({ host: "h", upgrade: "websocket" }, client, true)).toMatchObject({
    connection: "Upgrade",
    upgrade: "websocket",
  });
});

test("below a path, pages are sandboxed in addition to the program's own policy", () => {
  const headers = toClient(
    { "content-security-policy": ["a", "b"], location: ["/x", "//y", "/\\z", "https://w/"] },
    "/p",
  );
  expect(headers["content-security-policy"]).toEqual(["a", "b", expect.stringMatching(/^sandbox allow-scripts /)]);
  expect(headers["content-security-policy"]?.join()).not.toContain("allow-same-origin");
  expect(headers.location).toEqual(["/p/x", "//y", "/\\z", "https://w/"]);
  expect(toClient({ location: ["/x"] }, "")).toEqual({ location: ["/x"], "x-robots-tag": ["noindex"] });
});

test("a cookie authorizes its own pages, and navigation by a link", () => {
  const own = "https://a.example";
  const navigation = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  expect(mayUseCookie("GET", {}, own)).toBe(true);
  expect(mayUseCookie("POST", { origin: own, "sec-fetch-site": "same-origin" }, own)).toBe(true);
  expect(mayUseCookie("GET", { "sec-fetch-site": "cross-site", ...navigation }, own)).toBe(true);
  expect(mayUseCookie("POST", { "sec-fetch-site": "cross-site", ...navigation }, own)).toBe(false);
  expect(mayUseCookie("GET", { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" }, own)).toBe(false);
  expect(mayUseCookie("GET", { origin: "https://b.example" }, own)).toBe(false);
  expect(mayUseCookie("GET", { origin: "null" }, own)).toBe(false);
});
