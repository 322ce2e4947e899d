import { expect, test } from "vitest";
import { mountsUnder } from "./docker.ts";

test("only mounts at or below the daemon's folders are its own, the innermost first", () => {
  const mountinfo = [
    "27 1 254:0 / / rw - ext4 /dev/vda rw",
    "42 27 254:0 / /var/lib/berth/docker rw - ext4 /dev/vda rw",
    "43 42 0:5 / /var/lib/berth/docker/overlay2/x/merged rw - overlay overlay rw",
    "44 27 0:6 / /var/lib/berth/dockerish rw - tmpfs tmpfs rw",
    "",
  ].join("\n");
  expect(mountsUnder(["/var/lib/berth/docker", "/run/berth/docker"], mountinfo)).toEqual([
    "/var/lib/berth/docker/overlay2/x/merged",
    "/var/lib/berth/docker",
  ]);
});
