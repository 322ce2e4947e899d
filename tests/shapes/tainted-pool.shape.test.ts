/** Sessions run on separate nodes, whose taint keeps all other pods away. */
import { expect } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { machine } from "../../machine/machine.ts";
import { address, name, startSecondNode, type Taint } from "./second-node.ts";
import { testShape } from "./shape.ts";

const taint: Taint = { key: "pool", value: "sessions", effect: "NoSchedule" };

testShape({
  what: "a tainted pool of nodes for sessions",
  prepare: () => startSecondNode(taint),
  change: ({ config }) => {
    config["berth:placement"] = {
      sessions: { nodeSelector: { [taint.key]: taint.value }, tolerations: [{ ...taint, operator: "Equal" }] },
    };
    const nodes = [machine.nodeIp, address].map((ip) => `${ip}/32`);
    config["berth:prometheus"] = { ...(config["berth:prometheus"] as object), kubelets: { nodes } };
  },
  check: async () => {
    const events = ["get", "events", "--all-namespaces", "--field-selector=reason=Scheduled"];
    const message = '{range .items[*]}{.message}{"\\n"}{end}';
    const lines = (await kubectl([...events, "-o", `jsonpath=${message}`])).split("\n");
    const sessions = lines.filter((line) => line.includes("/agent-"));
    expect(sessions.length).toBeGreaterThan(0);
    expect(sessions.filter((line) => !line.endsWith(`to ${name}`))).toEqual([]);
    expect(lines.filter((line) => line.includes("assigned berth/") && line.endsWith(`to ${name}`))).toEqual([
      expect.stringContaining("berth/image-puller"),
    ]);
  },
});
