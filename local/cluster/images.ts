/**
 * The images of the cluster's own pods. Each image contains one program file: no shell, no libraries. Berth makes and pushes
 * these images without a Docker daemon.
 */
import { execa } from "execa";
import { isInRegistry, localName, pushImage } from "../images/registry.ts";
import { programsDir, programsVersion } from "./build.ts";

/**
 * Each program, with its user and group. The program `volume` runs as root, because it makes directories that only root may make.
 */
const images = {
  pause: "65535:65535",
  coredns: "65532:65532",
  "local-path-provisioner": "65532:65532",
  volume: "0:0",
};
export type ClusterImage = keyof typeof images;

const tagOf = (name: ClusterImage) => `berth-local/${name}:${programsVersion}`;

/** The image's reference in the local registry, for example `127.0.0.1:5000/berth-local/pause:<version of the programs>`. */
export const clusterImage = (name: ClusterImage) => localName(tagOf(name));

/** Pushes the images that the registry lacks. The registry must be running. Returns how many were pushed. */
export async function pushClusterImages(): Promise<number> {
  let pushed = 0;
  for (const [name, user] of Object.entries(images) as [ClusterImage, string][]) {
    if (await isInRegistry(tagOf(name))) continue;
    await push(name, user);
    pushed++;
  }
  return pushed;
}

async function push(name: ClusterImage, user: string): Promise<void> {
  const args = ["-C", programsDir, "--owner=0", "--group=0", "--mtime=@0", "-c", name];
  const { stdout: layer } = await execa("tar", args, { encoding: "buffer", maxBuffer: 1e9 });
  await pushImage(tagOf(name), layer, { Entrypoint: [`/${name}`], User: user });
}
