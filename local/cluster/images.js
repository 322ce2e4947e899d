/** The images of the cluster's own pods: each one program and nothing else, pushed without a Docker daemon. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { registry } from "../lib/paths.ts";
import { program, programsDir, programsVersion } from "./build.ts";
/** Program, and the user that it runs as. The volume helper makes directories that only root may make. */
const images = {
    pause: "65535:65535",
    coredns: "65532:65532",
    "local-path-provisioner": "65532:65532",
    volume: "0:0",
};
const repository = (name) => `berth-local/${name}`;
/** The image's reference in the local registry, e.g. `127.0.0.1:5000/berth-local/pause:<version of the programs>`. */
export const clusterImage = (name) => `${registry}/${repository(name)}:${programsVersion}`;
/** Pushes the images that the registry hasn't got. The registry must be running. Returns how many were pushed. */
export async function pushClusterImages() {
    let pushed = 0;
    for (const [name, user] of Object.entries(images)) {
        if (await inRegistry(name))
            continue;
        await push(name, user);
        pushed++;
    }
    return pushed;
}
async function inRegistry(name) {
    const url = `http://${registry}/v2/${repository(name)}/manifests/${programsVersion}`;
    const accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
    return (await fetch(url, { method: "HEAD", headers: { accept } })).ok;
}
async function push(name, user) {
    const dir = mkdtempSync(join(tmpdir(), "berth-image-"));
    const layer = join(dir, "layer.tar");
    // the tag that counts appears last, on the finished image
    const unfinished = `${registry}/${repository(name)}:unfinished`;
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    try {
        await execa("tar", ["-C", programsDir, "--owner=0", "--group=0", "--mtime=@0", "-cf", layer, name]);
        await crane("append", "--new_layer", layer, "--new_tag", unfinished);
        await crane(...["mutate", unfinished, "--tag", clusterImage(name), "--entrypoint", `/${name}`], ...["--user", user, "--set-platform", `linux/${architecture}`]);
    }
    finally {
        rmSync(dir, { recursive: true });
    }
}
const crane = (...args) => execa(program("crane"), args);
