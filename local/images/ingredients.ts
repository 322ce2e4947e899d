/** Files that a stand-in's Dockerfile copies but that can't lie in the repository: each is made when it is needed. */
import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { root } from "../../machine/machine.ts";
import { adapterBinary, prometheusProgram } from "../cluster/build.ts";
import { endingWithUs } from "../lib/process.ts";
import { stopSignal } from "../lib/steps.ts";
import { machineSources } from "./sources.ts";

export interface Ingredient {
  /** Says what would be made: another version, another image. Must be quick and change nothing. */
  version(): Promise<string>;
  /** Makes the files below `context`, the build context's folder. */
  make(context: string): Promise<void>;
}

const npmVersion = "11.19.1";
const hash = (content: string | Buffer) => createHash("sha256").update(content).digest("hex").slice(0, 16);

/** Runs a command that ends where its task is told to stop, and with this process. Returns what it writes. */
async function run(command: string[], cwd?: string): Promise<string> {
  const [program = "", ...args] = endingWithUs(command);
  return (await execa(program, args, { cancelSignal: stopSignal(), ...(cwd && { cwd }) })).stdout;
}

/** The root of a minimal Debian as `rootfs.tar`, without manuals and translations like the official slim image. */
export const debianRoot: Ingredient = {
  version: async () => mmdebstrapOptions.join(" "),
  make: async (context) => {
    const sources = join(context, "sources.list");
    await writeFile(sources, await machineSources());
    await run(["mmdebstrap", ...mmdebstrapOptions, "bookworm", join(context, "rootfs.tar"), sources]);
    await rm(sources);
  },
};

const mmdebstrapOptions = [
  "--variant=apt",
  "--mode=root",
  // usr-is-merged in place of usrmerge, which would bring perl.
  "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
  // As in the official image: an image build that a power cut ends is done again anyway.
  "--dpkgopt=force-unsafe-io",
  "--dpkgopt=path-exclude=/usr/share/man/*",
  "--dpkgopt=path-exclude=/usr/share/info/*",
  "--dpkgopt=path-exclude=/usr/share/locale/*",
  "--dpkgopt=path-exclude=/usr/share/doc/*",
  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
  "--customize-hook=rm -f $1/etc/hostname $1/etc/resolv.conf",
  "--skip=output/dev",
];

/** Node 24 from npm's package `node`, the same that runs this program. */
export const nodeBinary = (to: string): Ingredient => ({
  version: async () => process.version,
  make: async (context) => {
    await mkdir(dirname(join(context, to)), { recursive: true });
    await copyFile(join(root, "node_modules/node/bin/node"), join(context, to));
  },
});

/** npm itself, with `npm` and `npx` on the PATH. */
export const npm = (prefix: string): Ingredient => ({
  version: async () => npmVersion,
  make: async (context) => {
    const library = join(context, prefix, "lib/node_modules/npm");
    const bin = join(context, prefix, "bin");
    await mkdir(library, { recursive: true });
    await mkdir(bin, { recursive: true });
    const archive = join(context, (await run(["npm", "pack", `npm@${npmVersion}`, "--silent"], context)).trim());
    await run(["tar", "-xzf", archive, "-C", library, "--strip-components=1"]);
    await rm(archive);
    for (const name of ["npm", "npx"]) await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
  },
});

/** How this machine reaches npm's registry: its address, without any credentials, and the certificates it trusts. */
export const machineTrust = (to: string): Ingredient => ({
  version: async () => hash(Buffer.concat([Buffer.from(await npmConfig()), await certificates()])),
  make: async (context) => {
    await mkdir(join(context, to), { recursive: true });
    await writeFile(join(context, to, "npmrc"), await npmConfig());
    await writeFile(join(context, to, "ca-certificates.crt"), await certificates());
  },
});

async function npmConfig(): Promise<string> {
  const { stdout } = await execa("npm", ["config", "get", "registry"]);
  const registry = new URL(stdout.trim());
  registry.username = "";
  registry.password = "";
  return `registry=${registry.href}\n`;
}

/** Go as this machine has it for berthd, and how the machine reaches modules: its proxy, without credentials, and whom it trusts. */
export const go = (to: string): Ingredient => ({
  version: async () => {
    const { GOVERSION, GOPROXY } = await goSettings();
    return `${GOVERSION} ${hash(Buffer.concat([Buffer.from(GOPROXY), await certificates()]))}`;
  },
  make: async (context) => {
    const { GOROOT, GOPROXY } = await goSettings();
    const [root, trust] = [join(context, to, "usr/local/go"), join(context, to, "etc/ssl/certs")];
    await mkdir(root, { recursive: true });
    for (const name of goParts) await cp(join(GOROOT, name), join(root, name), { recursive: true });
    await writeFile(join(root, "go.env"), `GOPROXY=${GOPROXY}\nGOSUMDB=off\n`); // go.sum has the sums
    await mkdir(trust, { recursive: true });
    await writeFile(join(trust, "ca-certificates.crt"), await certificates());
  },
});

/** What `go build` needs of Go's own folder: without its tests and documentation. */
const goParts = ["VERSION", "bin", "lib", "pkg", "src"];

/** Of the Go that berthd's module asks for, which Go may have fetched in place of an older one. */
async function goSettings(): Promise<{ GOROOT: string; GOVERSION: string; GOPROXY: string }> {
  const { stdout } = await execa("go", ["env", "-json", "GOROOT", "GOVERSION", "GOPROXY"], {
    cwd: join(root, "images/berthd"),
  });
  const settings = JSON.parse(stdout) as { GOROOT: string; GOVERSION: string; GOPROXY: string };
  return { ...settings, GOPROXY: settings.GOPROXY.replace(/\/\/[^/@,|]*@/g, "//") };
}

/** Debian's bundle, where an administrator adds the authorities of a company; empty if the machine has none. */
const certificates = () => readFile("/etc/ssl/certs/ca-certificates.crt").catch(() => Buffer.alloc(0));

/** prometheus-adapter, which is compiled by then. Its path names its version. */
export const adapter = (to: string): Ingredient => ({
  version: async () => basename(dirname(adapterBinary)),
  make: async (context) => {
    await mkdir(dirname(join(context, to)), { recursive: true });
    await copyFile(adapterBinary, join(context, to));
  },
});

/** Prometheus, which is compiled by then, and its empty data folder, which belongs to the user that it runs as. */
export const prometheus = (to: string, data: string): Ingredient => ({
  version: async () => basename(dirname(prometheusProgram("prometheus"))),
  make: async (context) => {
    await mkdir(dirname(join(context, to)), { recursive: true });
    await mkdir(join(context, data));
    await copyFile(prometheusProgram("prometheus"), join(context, to));
  },
});
