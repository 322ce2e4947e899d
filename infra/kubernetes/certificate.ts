/** Certificates that the stack makes itself. */
import "reflect-metadata"; // @peculiar/x509 expects it to be there
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** Both as PEM. */
export interface Certificate {
  certificate: string;
  /** PKCS #8. */
  privateKey: string;
}

/** From when until when a certificate is valid. */
export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

const day = 86_400_000;
const lifetime = 360 * day;
/** A period ends when a third of the lifetime is left. */
const period = 240 * day;

/**
 * The validity of a certificate that an `up` makes at this time. Time is divided into periods of 240 days since 1970, and a
 * certificate is valid from the beginning of its period, for 360 days. So each `up` within a period makes the same certificate,
 * and the first `up` after the period, when less than a third of the validity is left, makes the next one. Nothing else need
 * be remembered.
 * @returns `number`, which tells the period
 */
export function validityAt(time: Date): Validity & { number: number } {
  const number = Math.floor(time.getTime() / period);
  const notBefore = new Date(number * period);
  return { number, notBefore, notAfter: new Date(notBefore.getTime() + lifetime) };
}

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * A self-signed server certificate, for whoever can be told to trust this one certificate.
 *
 * A pure function: Ed25519 makes a key of any 32 bytes and always the same signature, so that a second run changes nothing
 * and the seed is all that is kept.
 * @param seed 32 random bytes
 * @param names DNS names of the server; the first is its common name too
 */
export async function selfSigned(
  seed: Buffer,
  names: [string, ...string[]],
  { notBefore, notAfter }: Validity,
): Promise<Certificate> {
  if (seed.length !== 32) throw new Error(`a seed of 32 bytes is needed, this one has ${seed.length}`);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key);
  const algorithm = { name: "Ed25519" };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(publicKey.export({ type: "spki", format: "der" })),
    name: [{ CN: [names[0]] }],
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys: {
      privateKey: key.toCryptoKey(algorithm, true, ["sign"]),
      publicKey: publicKey.toCryptoKey(algorithm, true, ["verify"]),
    },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
    ],
  });
  return {
    certificate: `${certificate.toString("pem")}\n`,
    privateKey: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** In hex: positive, and of one length. */
function serialNumber(publicKey: Buffer): string {
  const number = createHash("sha256").update(publicKey).digest().subarray(0, 16);
  number[0] = ((number[0] ?? 0) & 0x7f) | 0x40;
  return number.toString("hex");
}
