/** Certificates that the stack makes itself. */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";
/**
 * A self-signed server certificate, for whoever can be told to trust this one certificate.
 *
 * A pure function: Ed25519 makes a key of any 32 bytes and always the same signature, so that a second run changes nothing
 * and the seed is all that is kept. It never expires, as RFC 5280 writes it; a new seed makes a new one.
 * @param seed 32 random bytes
 * @param names DNS names of the server; the first is its common name too
 */
export function selfSigned(seed, names) {
    if (seed.length !== 32)
        throw new Error(`a seed of 32 bytes is needed, this one has ${seed.length}`);
    const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
    const tbs = content(createPublicKey(key), names);
    const signatureValue = sign(null, Buffer.from(AsnConvert.serialize(tbs)), key);
    const certificate = new x509.Certificate({
        tbsCertificate: tbs,
        signatureAlgorithm: ed25519,
        signatureValue: buffer(signatureValue),
    });
    return {
        certificate: pem("CERTIFICATE", Buffer.from(AsnConvert.serialize(certificate))),
        privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
    };
}
/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
const ed25519 = new x509.AlgorithmIdentifier({ algorithm: "1.3.101.112" });
const commonName = "2.5.4.3";
function content(publicKey, names) {
    const spki = publicKey.export({ type: "spki", format: "der" });
    const name = new x509.Name([
        new x509.RelativeDistinguishedName([
            new x509.AttributeTypeAndValue({ type: commonName, value: new x509.AttributeValue({ utf8String: names[0] }) }),
        ]),
    ]);
    const serialNumber = createHash("sha256").update(spki).digest().subarray(0, 16);
    serialNumber[0] = ((serialNumber[0] ?? 0) & 0x7f) | 0x40; // positive, and of one length
    return new x509.TBSCertificate({
        version: x509.Version.v3,
        serialNumber: buffer(serialNumber),
        signature: ed25519,
        issuer: name,
        subject: name,
        subjectPublicKeyInfo: AsnConvert.parse(spki, x509.SubjectPublicKeyInfo),
        validity: new x509.Validity({
            notBefore: new Date("2026-01-01T00:00:00Z"),
            notAfter: new Date("9999-12-31T23:59:59Z"),
        }),
        extensions: new x509.Extensions([
            extension(x509.id_ce_basicConstraints, true, new x509.BasicConstraints({ cA: false })),
            extension(x509.id_ce_keyUsage, true, new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature)),
            extension(x509.id_ce_extKeyUsage, false, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
            extension(x509.id_ce_subjectAltName, false, new x509.SubjectAlternativeName(names.map((dNSName) => new x509.GeneralName({ dNSName })))),
        ]),
    });
}
const extension = (extnID, critical, value) => new x509.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
/** The bytes alone: a Buffer may be a window on more. */
const buffer = (bytes) => Uint8Array.from(bytes).buffer;
const pem = (kind, der) => `-----BEGIN ${kind}-----\n${der.toString("base64").replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${kind}-----\n`;
