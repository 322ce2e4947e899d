/**
 * Causes faults of the cluster's daemons, for tests:
 *
 *     node tests/proofs/fault.ts crash NAME    ends the daemon by SIGKILL, starts it again, waits for the Kubernetes API
 *     node tests/proofs/fault.ts freeze NAME   stops the daemon's process; the daemon keeps its connections and answers nobody
 *     node tests/proofs/fault.ts thaw NAME     lets the frozen daemon continue
 */
import { components } from "../../local/cluster/components.ts";
import { ensure, pidInNode } from "../../local/cluster/daemons.ts";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { waitFor } from "../../local/lib/process.ts";

const [what, name = ""] = process.argv.slice(2);
const daemon = components.find((component) => component.name === name);
const pid = daemon && pidInNode(daemon);
if (daemon === undefined || pid === undefined)
  throw new Error(`no daemon of the cluster with the name ${name} is running`);
switch (what) {
  case "crash":
    process.kill(pid, "SIGKILL");
    await waitFor(`the end of ${name}`, 40, async () => pidInNode(daemon) === undefined);
    await ensure(daemon);
    await waitFor(name, 240, () => kubectl(["get", "--raw", "/readyz"]));
    break;
  case "freeze":
    process.kill(pid, "SIGSTOP");
    break;
  case "thaw":
    process.kill(pid, "SIGCONT");
    break;
  default:
    throw new Error("usage: fault.ts crash|freeze|thaw NAME");
}
