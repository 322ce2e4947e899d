/** `npm run check:layers`: no import in runtime/src or infra goes up or makes a circle, by dependency-cruiser. */
import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";
import { root } from "../../machine/machine.ts";

/** The rooms of a program, which are folders or files, and which other rooms the files of each may import. */
type Rooms = Record<string, string[]>;

/** A program whose imports go down only. */
export interface Layered {
  /** Of the checkout. */
  folder: string;
  /** The file at the top, without `.ts`: it may import every room. */
  main: string;
  /** docs/architecture.md says what each is. */
  rooms: Rooms;
  /** What else is refused. */
  more: IForbiddenRuleType[];
}

const isOf = (names: string[]) => `^(${names.join("|")})(/|\\.ts$)`;

/** Tests put together what they need from anywhere; nothing of the program imports them or what helps them. */
const tests = "^testing/|\\.test\\.ts$";

/** What everything but `domain` and the two themselves may use; they use nothing of the runtime's own. */
const tools = ["telemetry", "timing"];
const decided = ["domain", ...tools];
const remembers = ["config", "store", "queue", "cluster", "pod", ...decided];

/** The packages that `domain` may import: they compute and do no input or output. */
const purePackages = "^(zod|node:crypto|crypto)$|node_modules/(zod/|@kubernetes/client-node/dist/util\\.js$)";

export const runtime: Layered = {
  folder: "runtime/src",
  main: "main",
  rooms: {
    roles: ["api", "gateway", "channel", "worker", ...remembers],
    gateway: ["api", ...remembers],
    channel: ["api", ...remembers],
    api: remembers,
    worker: remembers,
    store: ["config", ...decided],
    queue: ["config", ...decided],
    cluster: ["config", ...decided],
    pod: ["config", ...decided],
    config: decided,
    domain: [],
    telemetry: ["timing"],
    timing: [],
  },
  more: [
    {
      name: "domain does no input or output",
      severity: "error",
      from: { path: isOf(["domain"]), pathNot: tests },
      to: { dependencyTypesNot: ["local"], pathNot: purePackages },
    },
  ],
};

/** What every component of infra is made of. */
const parts = ["kubernetes", "config"];

export const infra: Layered = {
  folder: "infra",
  main: "index",
  rooms: {
    runtime: ["monitoring", "tenants", "stores", ...parts],
    ingress: parts,
    monitoring: ["stores", "images", ...parts],
    tenants: ["images", ...parts],
    platform: ["images", ...parts],
    stores: parts,
    images: parts,
    kubernetes: ["config"],
    config: [],
  },
  more: [],
};

const rulesOf = ({ main, rooms, more }: Layered): IForbiddenRuleType[] => [
  ...Object.entries({ ...rooms, [main]: Object.keys(rooms) }).map(([room, below]) => ({
    name: `${room} imports ${below.length === 0 ? "no other room" : below.join(", ")} only`,
    severity: "error" as const,
    from: { path: isOf([room]), pathNot: tests },
    to: { dependencyTypes: ["local" as const], pathNot: isOf([room, ...below]) },
  })),
  ...more,
  {
    name: "every file is in a room",
    severity: "error",
    from: { pathNot: `${isOf([main, ...Object.keys(rooms)])}|${tests}|^\\.\\./` },
    to: {},
  },
  {
    name: "no other package of the repository is imported",
    severity: "error",
    from: { path: "^[^.]", pathNot: tests },
    // By its name, or where npm's link to it leads.
    to: { path: ["^@berth/", "^\\.\\./"], pathNot: "node_modules/", dependencyTypesNot: ["local"] },
  },
  { name: "no import makes a circle", severity: "error", from: { pathNot: "^\\.\\./" }, to: { circular: true } },
];

/**
 * A line for each import that the program's rules refuse; type imports count too.
 * @param folder where the program is. Default: in this checkout
 */
export async function refusedImports(program: Layered, folder = `${root}/${program.folder}`): Promise<string[]> {
  const { output } = await cruise(["."], {
    baseDir: folder,
    ruleSet: { forbidden: rulesOf(program) },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
  });
  return (output as ICruiseResult).summary.violations.map(
    ({ from, to, rule, cycle }) => `${from}: ${cycle ? cycle.map(({ name }) => name).join(" → ") : to}: ${rule.name}`,
  );
}

if (import.meta.main)
  for (const program of [runtime, infra]) {
    const refused = await refusedImports(program);
    for (const line of refused) console.error(`${program.folder}/${line}`);
    if (refused.length > 0) process.exitCode = 1;
    else console.log(`Checked the layers of ${program.folder}.`);
  }
