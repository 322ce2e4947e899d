/**
 * Starts and stops the local cluster with cgroup v2, on a Debian with its own kernel and systemd. qemu emulates a virtual
 * machine with this Debian. The test copies the already built programs and images from this machine's cache into the Debian.
 * The virtual machine has no network, and no stack is deployed.
 */
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { kubernetesDir, programsDir } from "../../local/cluster/build.ts";
import { onPath } from "../../local/host/inspect.ts";
import { missingPackages } from "../../local/host/packages.ts";
import { pulumiBin } from "../../local/pulumi/tools.ts";
import { machine, root } from "../../machine/machine.ts";
import { cache, checkout, debianRoot, furnish } from "./debian-root.ts";

const { cacheDir } = machine;

const minutes = 60_000;

/**
 * Programs that `up` looks for on the PATH, but that never run in this proof: the end-to-end tests' programs, and the Go
 * compiler, because all Go programs are already built. In the virtual machine, each of them is a link to /bin/true.
 */
const neverRun = ["chromium", "go", "nginx"];
const unneeded = ["chromium", "fonts-dejavu-core", "nginx-light"];
const packages = [
  ...["apparmor", "kmod", "linux-image-cloud-amd64", "udev"],
  ...missingPackages(() => false).filter((name) => !unneeded.includes(name)),
];
/** Services that the virtual machine does not start: those of the packages above, and those that would only take time. */
const masked = [
  ...["apt-daily.timer", "apt-daily-upgrade.timer", "containerd.service", "docker-registry.service", "docker.service"],
  ...["docker.socket", "e2scrub_reap.service", "etcd.service", "fstrim.timer", "serial-getty@ttyS0.service"],
];

/** The script in the virtual machine. The emulated processor is slow. So `up` may time out, and the next `up` continues. */
const script = `
cd ${checkout}
echo "control groups $(stat --file-system --format=%T /sys/fs/cgroup), first process $(cat /proc/1/comm), kernel $(uname -r)"
for try in 1 2 3 4 5; do
  node tests/proofs/cluster-only.ts && break
done
echo "status:"
node local/main.ts status
echo "cluster:"
node local/main.ts env >/run/env && . /run/env
kubectl get nodes,pods --all-namespaces
docker version --format "Docker {{.Server.Version}}"
node local/main.ts down
echo "left: $(ls -d /sys/fs/cgroup/berth* /sys/class/net/berth* 2>/dev/null)."
`;

const service = `[Unit]
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh /root/script
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
`;

/**
 * Creates three files in the folder: `disk`, which has the Debian with the checkout and the cached programs, and the Debian's
 * `vmlinuz` and `initrd.img`.
 */
async function makeMachine(folder: string, debian: string): Promise<void> {
  const machine = join(folder, "root");
  await execa("cp", ["--archive", debian, machine]);
  await furnish(machine);
  const inside = (path: string) => {
    mkdirSync(dirname(join(machine, path)), { recursive: true });
    return join(machine, path);
  };
  await execa("cp", ["--archive", root, inside(checkout)]);
  for (const path of [kubernetesDir, programsDir, pulumiBin, join(cacheDir, "images")])
    await execa("cp", ["--archive", path, inside(path.replace(cacheDir, cache))]);
  for (const program of neverRun) symlinkSync("/bin/true", inside(`/usr/local/bin/${program}`));
  writeFileSync(inside("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"), "");
  writeFileSync(inside("/root/script"), script);
  writeFileSync(inside("/etc/systemd/system/proof.service"), service);
  await execa("mke2fs", ["-q", "-t", "ext4", "-d", machine, join(folder, "disk"), "24G"]);
  for (const name of ["vmlinuz", "initrd.img"])
    cpSync(globSync(join(machine, "boot", `${name}-*`))[0] ?? name, join(folder, name));
  rmSync(machine, { recursive: true });
}

/** Runs the virtual machine until it powers off. Prints and returns the output of the script. */
async function runMachine(folder: string): Promise<string> {
  const kernel = [
    "root=/dev/vda",
    "rw",
    "systemd.wants=proof.service",
    ...masked.map((unit) => `systemd.mask=${unit}`),
  ];
  const { stdout } = await execa(
    "qemu-system-x86_64",
    [
      ...["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "7G", "-display", "none", "-nic", "none", "-no-reboot"],
      ...["-kernel", "vmlinuz", "-initrd", "initrd.img", "-append", `console=ttyS0 ${kernel.join(" ")}`],
      ...["-drive", "file=disk,if=virtio,format=raw,cache=unsafe", "-serial", "file:console", "-serial", "stdio"],
    ],
    { cwd: folder, stdin: "ignore", stdout: ["inherit", "pipe"], stderr: "inherit", timeout: 12 * minutes },
  );
  return stdout.replaceAll("\r", "");
}

test(
  "with cgroup v2 and systemd, the cluster and Docker start and stop, and leave nothing behind",
  async ({ skip }) => {
    const missing = ["mmdebstrap", "qemu-system-x86_64"].filter((program) => !onPath(program));
    skip(missing.length > 0, `${missing.join(" and ")} missing (Debian's packages mmdebstrap, qemu-system-x86)`);
    skip(process.arch !== "x64", "the kernel and the programs of the virtual machine are for amd64");
    const debian = await debianRoot("bookworm", packages).catch(String);
    skip(!debian.startsWith("/"), `Debian's packages are not available: ${debian.trim().split("\n").at(-1)}`);
    const folder = mkdtempSync("/var/tmp/berth-cgroup2-");
    try {
      await makeMachine(folder, debian);
      const output = await runMachine(folder);
      expect(output).toContain("control groups cgroup2fs, first process systemd");
      const [, status = ""] = output.match(/^status:\n(.*)^cluster:\n/ms) ?? [];
      expect(status).toMatch(/^✓ docker +running/m);
      expect(status.split("\n").filter((line) => !line.startsWith("✓"))).toEqual([
        expect.stringContaining("✗ stack"),
        "",
      ]);
      expect(output).toMatch(/^node\/berth +Ready/m);
      expect(output).toMatch(/pod\/coredns-\S+ +1\/1 +Running/);
      expect(output).toMatch(/pod\/local-path-provisioner-\S+ +1\/1 +Running/);
      expect(output).toMatch(/^Docker \d/m);
      expect(output).toMatch(/^left: \.$/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  14 * minutes,
);
