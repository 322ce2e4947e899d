/** Files that a stand-in's Dockerfile copies, but that can't be in the repository. Each file is made when it is needed. */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { root } from "../../machine/machine.ts";
import * as programs from "../cluster/build.ts";
import { endingWithUs } from "../lib/process.ts";
import { stopSignal } from "../lib/steps.ts";
import { machineSources } from "./sources.ts";

export interface Ingredient {
  /** Returns the version of the files. A new version makes a new image. Must be quick and change nothing. */
  version(): Promise<string>;
  /** Makes the files below `context`, the build context's folder. */
  make(context: string): Promise<unknown>;
}

const npmVersion = "11.19.1";
const hash = (content: string | Buffer) => createHash("sha256").update(content).digest("hex").slice(0, 16);

/** Runs a command, which ends when its task must stop or when this process ends. Returns the command's output. */
async function run(command: string[], cwd?: string): Promise<string> {
  const [program = "", ...args] = endingWithUs(command);
  return (await execa(program, args, { cancelSignal: stopSignal(), ...(cwd && { cwd }) })).stdout;
}

/** The root of a minimal Debian as `rootfs.tar`, without manuals and translations, like the official slim image. */
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
  // This hook installs usr-is-merged in place of usrmerge, because usrmerge depends on perl.
  "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
  // The official image has this option too. Safe writes are not needed, because an image build is repeated after a power cut.
  "--dpkgopt=force-unsafe-io",
  "--dpkgopt=path-exclude=/usr/share/man/*",
  "--dpkgopt=path-exclude=/usr/share/info/*",
  "--dpkgopt=path-exclude=/usr/share/locale/*",
  "--dpkgopt=path-exclude=/usr/share/doc/*",
  "--dpkgopt=path-include=/usr/share/doc/*/copyright",
  "--customize-hook=rm -f $1/etc/hostname $1/etc/resolv.conf",
  "--skip=output/dev",
];

/** A program that exists on this machine when the image is made. */
const program = (from: string, version: string, to: string): Ingredient => ({
  version: async () => version,
  make: (context) => cp(from, join(context, to), { dereference: true }),
});

/** Node 24 from npm's package `node`. This process runs with the same Node, so `process.version` is the file's version. */
export const nodeBinary = (to: string) => program(join(root, "node_modules/node/bin/node"), process.version, to);

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

/**
 * The settings with which an image build reaches npm's registry: the registry's address, without credentials, and the
 * certificates that this machine trusts.
 */
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

/**
 * The Go that this machine uses for berthd, with the settings to reach Go modules: the module proxy's address, without
 * credentials, and the certificates that this machine trusts.
 */
export const go = (to: string): Ingredient => ({
  version: async () => {
    const { GOVERSION, GOPROXY } = await goSettings();
    return `${GOVERSION} ${hash(Buffer.concat([Buffer.from(GOPROXY), await certificates()]))}`;
  },
  make: async (context) => {
    const { GOROOT, GOPROXY } = await goSettings();
    const [root, trust] = [join(context, to, "usr/local/go"), join(context, to, "etc/ssl/certs")];
    const copied = { recursive: true, filter: isBuilt };
    for (const name of goEntries) await cp(join(GOROOT, name), join(root, name), copied);
    await writeFile(join(root, "go.env"), `GOPROXY=${GOPROXY}\nGOSUMDB=off\n`); // go.sum has the checksums
    await mkdir(trust, { recursive: true });
    await writeFile(join(trust, "ca-certificates.crt"), await certificates());
  },
});

/** The parts of Go's own folder that `go build` needs. They don't include tests, documentation, and the sources of the tools. */
const goEntries = ["VERSION", "bin", "lib", "pkg", "src"];
const isBuilt = (file: string) => !/(_test\.go|\/testdata|\/src\/cmd)$/.test(file);

/** The settings of the Go version that berthd's module requires. If the installed Go is older, Go has downloaded this version. */
async function goSettings(): Promise<{ GOROOT: string; GOVERSION: string; GOPROXY: string }> {
  const { stdout } = await execa("go", ["env", "-json", "GOROOT", "GOVERSION", "GOPROXY"], {
    cwd: join(root, "images/berthd"),
  });
  const settings = JSON.parse(stdout) as { GOROOT: string; GOVERSION: string; GOPROXY: string };
  return { ...settings, GOPROXY: settings.GOPROXY.replace(/\/\/[^/@,|]*@/g, "//") };
}

/**
 * Debian's bundle of certificates, to which an administrator may have added a company's authorities. Empty if the machine has no
 * bundle.
 */
const certificates = () => readFile("/etc/ssl/certs/ca-certificates.crt").catch(() => Buffer.alloc(0));

/** A program that was compiled before. The name of the program's folder contains the version. */
const compiled = (from: string, to: string) => program(from, basename(dirname(from)), to);

export const adapter = (to: string) => compiled(programs.adapter.file, to);

/** Prometheus and an empty data folder, which belongs to the user that runs Prometheus. */
export const prometheus = (to: string, data: string): Ingredient => {
  const binary = compiled(programs.prometheus.file, to);
  return { ...binary, make: (context) => Promise.all([binary.make(context), mkdir(join(context, data))]) };
};
