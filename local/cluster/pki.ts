/**
 * The cluster's certificates and kubeconfigs. The files are made once. All keys are EC P-256. All certificates are valid for ten
 * years.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { execa } from "execa";
import { stringify } from "yaml";
import { machine } from "../../machine/machine.ts";
import { writeIfChanged } from "../lib/files.ts";
import { etc, pki, pkiDir } from "./layout.ts";
import { filledYaml, template } from "./templates.ts";

const { kubeconfig } = machine;

interface Certificate {
  name: string;
  ca: "ca" | "front-proxy-ca" | "etcd-ca";
  subject: string;
  usage: string;
  /** Subject alternative names. Default: none. */
  names?: string[];
}

const authorities = ["ca", "front-proxy-ca", "etcd-ca"];

/** RBAC binds this user to system:kubelet-api-admin. */
export const kubeletClientUser = "kube-apiserver-kubelet-client";

export const certificates = filledYaml(template("certificates.yaml"), { kubeletClientUser }) as Certificate[];

/** The users that have a kubeconfig in etc/. The admin's kubeconfig is the file `kubeconfig`. */
const users = ["controller-manager", "scheduler", "proxy", "kubelet"];

/**
 * Makes the missing certificates and kubeconfigs. A certificate gets its final name only when the certificate and its key are
 * complete.
 */
export async function ensureCertificates(): Promise<void> {
  mkdirSync(pkiDir, { recursive: true, mode: 0o700 });
  const ofAuthority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"];
  for (const name of authorities) await once(name, () => makeCertificate(`/CN=berth-${name}`, ofAuthority));
  for (const certificate of certificates) await ensureCertificate(certificate);
  await once("service-accounts", makeServiceAccountKey);
  for (const user of users) writeIfChanged(etc(`${user}.kubeconfig`), kubeconfigOf(user), 0o600);
  writeIfChanged(kubeconfig, kubeconfigOf("admin"), 0o600);
}

/** Makes the certificate unless it exists. Its authority must exist. */
export function ensureCertificate({ name, ca, subject, usage, names }: Certificate): Promise<void> {
  const extensions = [
    ...["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", `extendedKeyUsage=${usage}`],
    ...(names ? [`subjectAltName=${names.join(",")}`] : []),
  ];
  const signer = ["-CA", pki(`${ca}.crt`), "-CAkey", pki(`${ca}.key`)];
  return once(name, () => makeCertificate(subject, extensions, signer));
}

async function once(name: string, make: () => Promise<unknown>): Promise<void> {
  if (existsSync(pki(`${name}.crt`))) return;
  await make();
  renameSync(pki("new.key"), pki(`${name}.key`));
  renameSync(pki("new.crt"), pki(`${name}.crt`));
}

const openssl = (...args: string[]) => execa("openssl", args);

/** @param signer options that name the authority. Default: the certificate is self-signed */
const makeCertificate = (subject: string, extensions: string[], signer: string[] = []) =>
  openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", ...signer],
    ...["-subj", subject, ...extensions.flatMap((extension) => ["-addext", extension])],
    ...["-keyout", pki("new.key"), "-out", pki("new.crt")],
  );

/** Writes a key pair. The file `.crt` contains the public key, not a certificate. */
async function makeServiceAccountKey(): Promise<void> {
  await openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", pki("new.key"));
  await openssl("ec", "-in", pki("new.key"), "-pubout", "-out", pki("new.crt"));
}

function kubeconfigOf(user: string): string {
  const data = (file: string) => readFileSync(pki(file)).toString("base64");
  const values = { user, authority: data("ca.crt"), certificate: data(`${user}.crt`), key: data(`${user}.key`) };
  return stringify(filledYaml(template("kubeconfig.yaml"), values));
}
