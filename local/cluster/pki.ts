/**
 * The cluster's certificates and kubeconfigs. The files are made once. All keys are EC P-256. All certificates are valid for ten
 * years.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { execa } from "execa";
import { stringify } from "yaml";
import { machine } from "../../machine/machine.ts";
import { etc, pki, pkiDir, writeIfChanged } from "./layout.ts";

const { apiServiceIp, clusterDomain, context, kubeconfig, nodeIp, nodeName } = machine;

interface Certificate {
  name: string;
  ca: "ca" | "front-proxy-ca" | "etcd-ca";
  subject: string;
  usage: string;
  /** Subject alternative names. Default: none. */
  names?: string[];
}

const authorities = ["ca", "front-proxy-ca", "etcd-ca"];

const apiService = "kubernetes.default.svc";
const apiNames = ["kubernetes", "kubernetes.default", apiService, `${apiService}.${clusterDomain}`];

/** RBAC binds this user to system:kubelet-api-admin. */
export const kubeletClientUser = "kube-apiserver-kubelet-client";

export const certificates: Certificate[] = [
  { name: "etcd", ca: "etcd-ca", subject: "/CN=etcd", usage: "serverAuth,clientAuth", names: ["IP:127.0.0.1"] },
  { name: "apiserver-etcd", ca: "etcd-ca", subject: "/CN=kube-apiserver", usage: "clientAuth" },
  {
    name: "apiserver",
    ca: "ca",
    subject: "/CN=kube-apiserver",
    usage: "serverAuth",
    names: [...apiNames.map((name) => `DNS:${name}`), `IP:${nodeIp}`, `IP:${apiServiceIp}`],
  },
  { name: "apiserver-kubelet", ca: "ca", subject: `/CN=${kubeletClientUser}`, usage: "clientAuth" },
  { name: "front-proxy", ca: "front-proxy-ca", subject: "/CN=front-proxy-client", usage: "clientAuth" },
  { name: "admin", ca: "ca", subject: "/O=system:masters/CN=admin", usage: "clientAuth" },
  { name: "controller-manager", ca: "ca", subject: "/CN=system:kube-controller-manager", usage: "clientAuth" },
  { name: "scheduler", ca: "ca", subject: "/CN=system:kube-scheduler", usage: "clientAuth" },
  { name: "proxy", ca: "ca", subject: "/CN=system:kube-proxy", usage: "clientAuth" },
  { name: "kubelet", ca: "ca", subject: `/O=system:nodes/CN=system:node:${nodeName}`, usage: "clientAuth" },
  {
    name: "kubelet-server",
    ca: "ca",
    subject: `/O=system:nodes/CN=system:node:${nodeName}`,
    usage: "serverAuth",
    names: [`DNS:${nodeName}`, `IP:${nodeIp}`],
  },
];

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
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: context,
        cluster: { server: `https://${nodeIp}:6443`, "certificate-authority-data": data("ca.crt") },
      },
    ],
    users: [
      {
        name: user,
        user: { "client-certificate-data": data(`${user}.crt`), "client-key-data": data(`${user}.key`) },
      },
    ],
    contexts: [{ name: context, context: { cluster: context, user } }],
    "current-context": context,
  });
}
