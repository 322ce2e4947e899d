/**
 * `npm run check:layers`: dependency-cruiser checks that each file in runtime/src and infra imports only from its own layer and
 * from lower layers, and that no imports make a circle.
 */
import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";
import { root } from "../../machine/machine.ts";

/** The layers of a program. A layer is a folder or a file. The value lists the other layers that the layer's files may import. */
type Layers = Record<string, string[]>;

/** A program whose files may import only from their own layer and from lower layers. */
export interface Layered {
  /** The program's folder in the checkout. */
  folder: string;
  /** The name, without `.ts`, of the file at the top, which may import every layer. */
  main: string;
  /** The program's layers. docs/architecture.md describes each layer. */
  layers: Layers;
  /** Further rules of this program, which refuse more imports. */
  more: IForbiddenRuleType[];
}

const isOf = (names: string[]) => `^(${names.join("|")})(/|\\.ts$)`;

/** Tests and their helpers may import any file. Other files must not import the helpers in `testing/`. */
const tests = "^testing/|\\.test\\.ts$";

/** All other layers of the runtime except `domain` may import these two layers, which import no layer. */
const tools = ["telemetry", "timing"];
const decided = ["domain", ...tools];
const remembers = ["config", "store", "queue", "cluster", "berthd", ...decided];

/** The packages that `domain` may import. They only compute, and do no input or output. */
const purePackages = "^(zod|node:crypto|crypto)$|node_modules/(zod/|@kubernetes/client-node/dist/util\\.js$)";

/** These files pass the connection to Redis on to BullMQ or to `queue`, and send no command to Redis themselves. */
const passesConnection = "^(worker/sessionWorker|api/access/rateLimit)\\.ts$";

export const runtime: Layered = {
  folder: "runtime/src",
  main: "main",
  layers: {
    roles: ["api", "gateway", "channel", "worker", ...remembers],
    gateway: ["api", ...remembers],
    channel: ["api", ...remembers],
    api: remembers,
    worker: remembers,
    store: ["config", ...decided],
    queue: ["config", ...decided],
    cluster: ["config", ...decided],
    berthd: ["config", ...decided],
    config: decided,
    domain: [],
    telemetry: [],
    timing: [],
  },
  more: [
    {
      name: "domain does no input or output",
      severity: "error",
      from: { path: isOf(["domain"]), pathNot: tests },
      to: { dependencyTypesNot: ["local"], pathNot: purePackages },
    },
    {
      name: "only queue sends commands to Redis, and only roles connects",
      severity: "error",
      from: { path: "^[^.]", pathNot: [isOf(["queue", "roles"]), passesConnection, tests] },
      to: { path: "(^|node_modules/)ioredis(/|$)" },
    },
  ],
};

/** Every layer of infra above these two may import them. */
const sharedLayers = ["kubernetes", "config"];

export const infra: Layered = {
  folder: "infra",
  main: "index",
  layers: {
    runtime: ["monitoring", "tenants", "stores", ...sharedLayers],
    ingress: sharedLayers,
    monitoring: ["stores", "images", ...sharedLayers],
    tenants: ["images", ...sharedLayers],
    platform: ["images", ...sharedLayers],
    stores: sharedLayers,
    images: sharedLayers,
    kubernetes: ["config"],
    config: [],
  },
  more: [],
};

/** infra may import these files of the runtime, so that config and runtime compute quantities with the same functions. */
const shared = "^\\.\\./runtime/src/domain/(quota/(quantity|quantities)|tiers)\\.ts$";

const rulesOf = ({ main, layers, more }: Layered): IForbiddenRuleType[] => [
  ...Object.entries({ ...layers, [main]: Object.keys(layers) }).map(([layer, below]) => ({
    name: `${layer} imports ${below.length === 0 ? "no other layer" : below.join(", ")} only`,
    severity: "error" as const,
    from: { path: isOf([layer]), pathNot: tests },
    to: { dependencyTypes: ["local" as const], pathNot: [isOf([layer, ...below]), shared] },
  })),
  ...more,
  {
    name: "every file is in a layer",
    severity: "error",
    from: { pathNot: `${isOf([main, ...Object.keys(layers)])}|${tests}|^\\.\\./` },
    to: {},
  },
  {
    name: "no other package of the repository is imported",
    severity: "error",
    from: { path: "^[^.]", pathNot: tests },
    // An import names the package itself, or the folder to which npm's link to the package leads.
    to: { path: ["^@berth/", "^\\.\\./"], pathNot: ["node_modules/", shared], dependencyTypesNot: ["local"] },
  },
  { name: "no import makes a circle", severity: "error", from: { pathNot: "^\\.\\./" }, to: { circular: true } },
];

/**
 * Returns a line for each import that the program's rules refuse. Type imports count too.
 * @param folder the program's folder. Default: the one in this checkout
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
