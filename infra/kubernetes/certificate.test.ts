import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import { selfSigned, validityAt } from "./certificate.ts";

const day = 86_400_000;
const seed = Buffer.alloc(32, 7);
const validity = validityAt(new Date());
const made = await selfSigned(seed, ["adapter.berth.svc", "adapter"], validity);
const other = await selfSigned(Buffer.alloc(32, 8), ["adapter.berth.svc", "adapter"], validity);

test("the same seed makes the same certificate, and another seed makes another certificate", async () => {
  expect(await selfSigned(seed, ["adapter.berth.svc", "adapter"], validity)).toEqual(made);
  expect(other.certificate).not.toBe(made.certificate);
  expect(other.privateKey).not.toBe(made.privateKey);
});

test("the certificate is valid for all of its names as a server, but not as a certificate authority", () => {
  const parsed = new X509Certificate(made.certificate);
  expect(parsed.subject).toBe("CN=adapter.berth.svc");
  expect(parsed.subjectAltName).toBe("DNS:adapter.berth.svc, DNS:adapter");
  expect(parsed.ca).toBe(false);
  expect(parsed.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(parsed.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect(parsed.validFromDate).toEqual(validity.notBefore);
  expect(parsed.validToDate).toEqual(validity.notAfter);
});

test("a client that trusts only this certificate can connect under the certificate's name, but under no other name", async () => {
  const server = createServer({ cert: made.certificate, key: made.privateKey }, (socket) => socket.end()).listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const attempt = (servername: string, ca: string) =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port, servername, ca }, () => resolve("connected"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code)).on("secureConnect", () => socket.end());
    });
  expect(await attempt("adapter", made.certificate)).toBe("connected");
  expect(await attempt("other", made.certificate)).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
  expect(await attempt("adapter", other.certificate)).not.toBe("connected");
  server.close();
});

test("a seed of another length is refused", async () => {
  await expect(selfSigned(Buffer.alloc(16), ["adapter"], validity)).rejects.toThrow("32 bytes");
});

test("an `up` makes the next certificate when less than a third of its validity is left, and not before", () => {
  const { number, notBefore, notAfter } = validityAt(new Date("2026-11-28T18:00:00Z"));
  const third = (notAfter.getTime() - notBefore.getTime()) / 3;
  const left = (share: number) => validityAt(new Date(notAfter.getTime() - share));
  expect(third).toBe(120 * day);
  expect(validityAt(notBefore)).toEqual({ number, notBefore, notAfter });
  expect(left(third + 1)).toEqual({ number, notBefore, notAfter });
  expect(left(third - 1)).toMatchObject({ number: number + 1 });
  expect(left(third - 1).notBefore.getTime()).toBe(notAfter.getTime() - third);
});
