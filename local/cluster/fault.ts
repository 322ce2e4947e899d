/**
 * What happens to daemons on a bad day, for tests of what stands on the cluster:
 *
 *     node local/cluster/fault.ts crash NAME    ends the daemon by SIGKILL, starts it again and waits until the API answers
 *     node local/cluster/fault.ts freeze NAME   stops it where it is; it keeps its connections and answers nobody
 *     node local/cluster/fault.ts thaw NAME     lets it go on
 */
import { waitFor } from "../lib/process.ts";
import { components } from "./components.ts";
import { ensure, pidOf } from "./daemons.ts";
import { kubectl } from "./kubectl.ts";

const [what, name = ""] = process.argv.slice(2);
const daemon = components.find((component) => component.name === name);
const pid = daemon && pidOf(daemon);
if (daemon === undefined || pid === undefined) throw new Error(`no daemon of the cluster named ${name} runs`);
switch (what) {
  case "crash":
    process.kill(pid, "SIGKILL");
    await waitFor(`the end of ${name}`, 10, async () => pidOf(daemon) === undefined);
    await ensure(daemon);
    await waitFor(name, 60, () => kubectl(["get", "--raw", "/readyz"]));
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
