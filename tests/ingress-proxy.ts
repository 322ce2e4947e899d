/** A real reverse proxy (nginx from Debian) that forwards exactly the paths that the Ingress of a stack forwards. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { ingress, type KnownIngressConfig } from "../infra/config/ingress.ts";
import { nginxAnnotations } from "../infra/ingress/controllers.ts";
import { ingressSpec } from "../infra/ingress/ingress.ts";
import { sites } from "../infra/ingress/sites.ts";
import { freePorts } from "../runtime/src/testing/ports.ts";
import { apiUrl } from "./berth.ts";

export interface IngressProxy extends AsyncDisposable {
  /** The URL of the proxy, for example http://127.0.0.1:18080. */
  url: string;
}

/** Starts the proxy on a free port of this machine. The proxy forwards to the API of the stack `dev`. */
export async function openIngressProxy(): Promise<IngressProxy> {
  const [port = 0] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "berth-ingress-"));
  const file = join(folder, "nginx.conf");
  await writeFile(file, nginxConfig(port, folder));
  const nginx = execa("/usr/sbin/nginx", ["-p", folder, "-c", file], { reject: false, all: true });
  const url = `http://127.0.0.1:${port}`;
  await until("nginx answers", 30, async () => (await fetch(`${url}/v1/openapi.json`)).ok);
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      nginx.kill("SIGTERM");
      await nginx;
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * Translates the Ingress of the default config to nginx settings: the paths of type Prefix, and the effects of the
 * annotations.
 */
function nginxConfig(port: number, folder: string): string {
  const config = ingress.parse({ controller: "nginx", tls: null }) as KnownIngressConfig;
  const [api] = sites(config, apiUrl, null);
  if (api === undefined) throw new Error("the stack has no address");
  const { rules } = ingressSpec(config, api, "gateway");
  const annotations = nginxAnnotations(config);
  const value = (name: string) => annotations[`nginx.ingress.kubernetes.io/${name}`];
  const paths = rules.flatMap(({ http }) => http.paths.map(({ path }) => path));
  // The path `/v1` with type Prefix matches /v1 and everything below /v1/, but not /v1x.
  const locations = paths
    .flatMap((path) => [`= ${path}`, `${path}/`])
    .map((where) => `location ${where} { proxy_pass ${apiUrl}; }`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `
daemon off; user root; worker_processes 1; pid ${folder}/pid; error_log stderr;
events {}
http {
  access_log off; ${temporary.join(" ")}
  # ingress-nginx makes these of limit-rps: bursts of five times the rate pass.
  limit_req_zone $binary_remote_addr zone=rate:1m rate=${value("limit-rps")}r/s;
  limit_req zone=rate burst=${5 * Number(value("limit-rps"))} nodelay;
  map $http_upgrade $connection_upgrade { default upgrade; "" close; }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size ${value("proxy-body-size")};
    proxy_read_timeout ${value("proxy-read-timeout")}s; proxy_send_timeout ${value("proxy-send-timeout")}s;
    proxy_buffering ${value("proxy-buffering")};
    proxy_http_version 1.1; proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    ${locations.join("\n    ")}
    location / { return 404; }
  }
}
`;
}
