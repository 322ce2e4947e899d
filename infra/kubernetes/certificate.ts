/** Self-signed certificates that the stack makes. */
import "reflect-metadata"; // @peculiar/x509 expects it to be there
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A certificate and its private key as PEM. */
export interface Certificate {
  certificate: string;
  /** The private key in the PKCS #8 format. */
  privateKey: string;
}

/** The time span in which a certificate is valid. */
export interface Validity {
  notBefore: Date;
  notAfter: Date;
}

const day = 86_400_000;
const lifetime = 360 * day;
/** The time until an `up` makes the next certificate. When a period ends, a third of the certificate's lifetime is left. */
const period = 240 * day;

/**
 * The validity of a certificate that an `up` makes at this time. Time since 1970 is divided into periods of 240 days. A
 * certificate is valid for 360 days from the beginning of its period. So each `up` in one period makes the same certificate.
 * The first `up` in a later period makes a new certificate; at most a third of the old validity is left at that time. Only the
 * seed of the key has to be stored.
 * @returns the validity, and the period's `number`
 */
export function validityAt(time: Date): Validity & { number: number } {
  const number = Math.floor(time.getTime() / period);
  const notBefore = new Date(number * period);
  return { number, notBefore, notAfter: new Date(notBefore.getTime() + lifetime) };
}

/** The bytes in front of the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * Makes a self-signed server certificate, for clients that are configured to trust exactly this certificate.
 *
 * The result depends only on the arguments: Ed25519 accepts any 32 bytes as a key, and signs the same content with the same
 * signature each time. So a second run changes nothing, and only the seed has to be stored.
 * @param seed 32 random bytes
 * @param names DNS names of the server; the first is also the certificate's common name
 */
export async function selfSigned(
  seed: Buffer,
  names: [string, ...string[]],
  { notBefore, notAfter }: Validity,
): Promise<Certificate> {
  if (seed.length !== 32) throw new Error(`the seed must have 32 bytes, but has ${seed.length}`);
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

/** The certificate's serial number in hex: always positive and of the same length. */
function serialNumber(publicKey: Buffer): string {
  const number = createHash("sha256").update(publicKey).digest().subarray(0, 16);
  number[0] = ((number[0] ?? 0) & 0x7f) | 0x40;
  return number.toString("hex");
}
