import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { RfbError } from "./rfbClient.ts";
import { ViewHandshake } from "./viewHandshake.ts";
import { viewPassword, viewResponse } from "./vncAuth.ts";

const version = Buffer.from("RFB 003.008\n");
const ok = Buffer.alloc(4);
const none = Buffer.alloc(0);
const challenge = Buffer.from("0123456789abcdef");

test("the view-only password is the one that berthd gives to the desktop", () => {
  const source = readFileSync(new URL("../../../images/berthd/internal/supervise/desktop.go", import.meta.url), "utf8");
  const [, written = ""] = /viewOnlyPassword = \[\]byte\{((?:0x[0-9a-f]{2}(?:, )?){8})\}/.exec(source) ?? [];
  // `vncpasswd` encrypts passwords the same way: DES with a key that is public.
  const decipher = createDecipheriv("des-ede3", Buffer.from("e84ad660c4721ae0".repeat(3), "hex"), null);
  const password = decipher.setAutoPadding(false).update(Buffer.from(written.replaceAll(/0x|, /g, ""), "hex"));
  expect(String(password)).toBe(viewPassword);
});

test.each([1, 7, 100])(
  "a viewer gets in with the server's view-only password and does not see it; in chunks of %d bytes",
  (size) => {
    const handshake = new ViewHandshake();
    expect(handshake.fromViewer(Buffer.from([1]))).toEqual(none); // a viewer that doesn't wait for the server
    const server = Buffer.concat([version, Buffer.from([2, 1, 2]), challenge, ok, Buffer.from("the desktop")]);
    const [toViewer, toServer]: [Buffer[], Buffer[]] = [[], []];
    for (let at = 0; at < server.length; at += size) {
      const answer = handshake.fromServer(server.subarray(at, at + size));
      toViewer.push(answer.toViewer);
      toServer.push(answer.toServer);
    }
    expect(Buffer.concat(toViewer)).toEqual(
      Buffer.concat([version, Buffer.from([1, 1]), ok, Buffer.from("the desktop")]),
    );
    expect(Buffer.concat(toServer)).toEqual(
      Buffer.concat([version, Buffer.from([2]), viewResponse(challenge), Buffer.from([1])]),
    );
    expect(handshake.fromViewer(Buffer.from("later"))).toEqual(Buffer.from("later"));
  },
);

test("a desktop without a view-only password is shown as it is", () => {
  const handshake = new ViewHandshake();
  const { toViewer, toServer } = handshake.fromServer(Buffer.concat([version, Buffer.from([1, 1]), ok]));
  expect(toViewer).toEqual(Buffer.concat([version, Buffer.from([1, 1]), ok]));
  expect(toServer).toEqual(Buffer.concat([version, Buffer.from([1])]));
});

test("a server that refuses or offers no known type is an error; so is a viewer that sends too much too early", () => {
  const refusing = Buffer.concat([version, Buffer.from([1, 1]), Buffer.from([0, 0, 0, 1])]);
  expect(() => new ViewHandshake().fromServer(refusing)).toThrow(RfbError);
  expect(() => new ViewHandshake().fromServer(Buffer.concat([version, Buffer.from([0])]))).toThrow(RfbError);
  expect(() => new ViewHandshake().fromViewer(Buffer.alloc(65 * 1024))).toThrow(RfbError);
});
