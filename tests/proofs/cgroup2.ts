/**
 * The local cluster on control groups of version 2: in a Debian with a kernel of its own, by qemu, with the programs that are
 * in the cache. There is no network and no stack; Docker must answer, and the pods of the cluster's DNS and storage be ready.
 *
 *     node tests/proofs/cgroup2.ts
 *
 * Needs Debian's packages qemu-system-x86 and mmdebstrap, 10 GiB of memory and 10 GiB in /var/tmp.
 */
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { kubernetesDir, programsDir } from "../../local/cluster/build.ts";
import { missingPackages } from "../../local/host/packages.ts";
import { cacheDir, root } from "../../local/lib/paths.ts";
import { pulumiBin } from "../../local/pulumi/tools.ts";
import { cache, checkout, debianRoot, furnish } from "./debian-root.ts";

/** Programs of the end-to-end test, and those that build what is built already: an empty one in the place of each. */
const notCalled = ["chromium", "go", "nginx"];
const unneeded = ["chromium", "fonts-dejavu-core", "nginx-light"];
const packages = [
  ...["apparmor", "kmod", "linux-image-cloud-amd64", "udev"],
  ...missingPackages(() => false).filter((name) => !unneeded.includes(name)),
];
/** Their services, and what would only take time. */
const masked = [
  ...["apt-daily.timer", "apt-daily-upgrade.timer", "containerd.service", "docker-registry.service", "docker.service"],
  ...["docker.socket", "e2scrub_reap.service", "etcd.service", "fstrim.timer", "serial-getty@ttyS0.service"],
];

/** What is done there. An emulated processor may take longer than \`up\` waits, so that is said up to five times. */
const script = `
cd ${checkout}
echo "kernel $(uname -r), control groups $(stat --file-system --format=%T /sys/fs/cgroup), first process $(cat /proc/1/comm)"
for try in 1 2 3 4 5; do
  node tests/proofs/cluster-only.ts && break
done
node local/main.ts status
grep . /sys/fs/cgroup/cgroup.subtree_control /sys/fs/cgroup/berth/cgroup.subtree_control
node local/main.ts env >/run/env && . /run/env
kubectl get nodes,pods --all-namespaces --output=wide
docker version --format "Docker {{.Server.Version}}"
node local/main.ts down && echo "left: $(ls -d /sys/fs/cgroup/berth* /sys/class/net/berth* 2>/dev/null)"
`;

const service = `[Service]
Type=oneshot
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh /root/script
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
[Unit]
SuccessAction=poweroff
FailureAction=poweroff
`;

/** Makes the disk, with a root that has the checkout and the cached programs. */
async function makeDisk(folder: string): Promise<string> {
  const machine = join(folder, "root");
  await execa("cp", ["--archive", await debianRoot("bookworm", packages), machine]);
  const inside = (path: string) => {
    mkdirSync(dirname(join(machine, path)), { recursive: true });
    return join(machine, path);
  };
  await execa("cp", ["--archive", root, inside(checkout)]);
  for (const path of [kubernetesDir, programsDir, pulumiBin, join(cacheDir, "images")])
    await execa("cp", ["--archive", path, inside(path.replace(cacheDir, cache))]);
  for (const program of notCalled) symlinkSync("/bin/true", inside(`/usr/local/bin/${program}`));
  writeFileSync(inside("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"), "");
  await furnish(machine);
  writeFileSync(inside("/root/script"), script);
  writeFileSync(inside("/etc/systemd/system/proof.service"), service);
  const disk = join(folder, "disk");
  await execa("mke2fs", ["-q", "-t", "ext4", "-d", machine, disk, "24G"]);
  for (const name of ["vmlinuz", "initrd.img"])
    cpSync(globSync(join(machine, "boot", `${name}-*`))[0] ?? name, join(folder, name));
  rmSync(machine, { recursive: true });
  return disk;
}

const folder = mkdtempSync("/var/tmp/berth-cgroup2-");
try {
  const disk = await makeDisk(folder);
  const kernel = ["root=/dev/vda", "rw", "console=ttyS0", "systemd.wants=proof.service"];
  kernel.push(...masked.map((unit) => `systemd.mask=${unit}`));
  await execa(
    "qemu-system-x86_64",
    [
      ...["-accel", process.env.BERTH_ACCEL ?? "tcg", "-cpu", "max", "-smp", "2", "-m", "7G"],
      ...["-display", "none", "-nic", "none", "-no-reboot", "-kernel", join(folder, "vmlinuz")],
      ...["-initrd", join(folder, "initrd.img"), "-append", kernel.join(" ")],
      ...["-drive", `file=${disk},if=virtio,format=raw,cache=unsafe`],
      ...["-serial", `file:${process.env.BERTH_CONSOLE ?? "/dev/null"}`, "-serial", "stdio"],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
