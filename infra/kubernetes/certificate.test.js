import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import { selfSigned } from "./certificate.ts";
const seed = Buffer.alloc(32, 7);
const made = selfSigned(seed, ["adapter.berth.svc", "adapter"]);
test("the same seed makes the same certificate, another one another", () => {
    expect(selfSigned(seed, ["adapter.berth.svc", "adapter"])).toEqual(made);
    const other = selfSigned(Buffer.alloc(32, 8), ["adapter.berth.svc", "adapter"]);
    expect(other.certificate).not.toBe(made.certificate);
    expect(other.privateKey).not.toBe(made.privateKey);
});
test("it is a server's certificate for all of its names, and no authority", () => {
    const parsed = new X509Certificate(made.certificate);
    expect(parsed.subjectAltName).toBe("DNS:adapter.berth.svc, DNS:adapter");
    expect(parsed.ca).toBe(false);
    expect(parsed.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(parsed.verify(parsed.publicKey)).toBe(true);
});
test("a client that trusts it and nothing else connects under its name and no other", async () => {
    const server = createServer({ cert: made.certificate, key: made.privateKey }, (socket) => socket.end()).listen(0);
    await once(server, "listening");
    const { port } = server.address();
    const attempt = (servername, ca) => new Promise((resolve) => {
        const socket = connect({ host: "127.0.0.1", port, servername, ca }, () => resolve("connected"));
        socket.on("error", (error) => resolve(error.code)).on("secureConnect", () => socket.end());
    });
    expect(await attempt("adapter", made.certificate)).toBe("connected");
    expect(await attempt("other", made.certificate)).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(await attempt("adapter", selfSigned(Buffer.alloc(32, 8), ["adapter"]).certificate)).not.toBe("connected");
    server.close();
});
test("a seed of another length is refused", () => {
    expect(() => selfSigned(Buffer.alloc(16), ["adapter"])).toThrow("32 bytes");
});
