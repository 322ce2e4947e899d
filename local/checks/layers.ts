/** `npm run check:layers`: no import in runtime/src goes up or makes a circle, by dependency-cruiser. */
import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";
import { root } from "../lib/paths.ts";

/** What everything but `domain` and the two themselves may use; they use nothing of the runtime's own. */
const tools = ["telemetry", "timing"];
const decided = ["domain", ...tools];
const remembers = ["config", "store", "queue", "cluster", ...decided];

/** The rooms of runtime/src, and which other rooms the files of each may import. docs/architecture.md says what each is. */
export const rooms: Record<string, string[]> = {
  roles: ["api", "gateway", "channel", "worker", ...remembers],
  gateway: ["api", ...remembers],
  channel: ["api", ...remembers],
  api: remembers,
  worker: remembers,
  store: ["config", ...decided],
  queue: ["config", ...decided],
  cluster: ["config", ...decided],
  config: decided,
  domain: [],
  telemetry: ["timing"],
  timing: [],
};

/** The packages that `domain` may import: they compute and do no input or output. */
const purePackages = "^(zod|node:crypto|crypto)$|node_modules/zod/";

const isOf = (names: string[]) => `^(${names.join("|")})(/|\\.ts$)`;

/** Tests put together what they need from anywhere; nothing of the program imports them or what helps them. */
const tests = "^testing/|\\.test\\.ts$";

const rules: IForbiddenRuleType[] = [
  ...Object.entries(rooms).map(([room, below]) => ({
    name: `${room} imports ${below.length === 0 ? "no other room" : below.join(", ")} only`,
    severity: "error" as const,
    from: { path: isOf([room]), pathNot: tests },
    to: { dependencyTypes: ["local" as const], pathNot: isOf([room, ...below]) },
  })),
  {
    name: "domain does no input or output",
    severity: "error",
    from: { path: isOf(["domain"]), pathNot: tests },
    to: { dependencyTypesNot: ["local"], pathNot: purePackages },
  },
  {
    name: "every file is in a room",
    severity: "error",
    from: { pathNot: `${isOf(["main", ...Object.keys(rooms)])}|${tests}|^\\.\\./` },
    to: {},
  },
  { name: "no import makes a circle", severity: "error", from: {}, to: { circular: true } },
];

/** A line for each import in the folder that the rules refuse; type imports count too. */
export async function refusedImports(folder: string): Promise<string[]> {
  const { output } = await cruise(["."], {
    baseDir: folder,
    ruleSet: { forbidden: rules },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
  });
  return (output as ICruiseResult).summary.violations.map(
    ({ from, to, rule, cycle }) => `${from}: ${cycle ? cycle.map(({ name }) => name).join(" → ") : to}: ${rule.name}`,
  );
}

if (import.meta.main) {
  const refused = await refusedImports(`${root}/runtime/src`);
  for (const line of refused) console.error(`runtime/src/${line}`);
  if (refused.length > 0) process.exitCode = 1;
  else console.log("Checked the runtime's layers.");
}
