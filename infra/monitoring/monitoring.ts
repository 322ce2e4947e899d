/** Makes all monitoring components: Prometheus, the exporters, the adapter, Grafana and the dashboard. */
import type * as pulumi from "@pulumi/pulumi";
import { adapterApis } from "../config/adapter-apis.ts";
import type { Config } from "../config/config.ts";
import type { BaseImages } from "../images/base-images/pinned.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import type { StoreConnection } from "../stores/connection.ts";
import { Adapter } from "./adapter.ts";
import { AdapterCertificate } from "./adapter-certificate.ts";
import { DashboardMap } from "./dashboard-map.ts";
import { Exporter, postgresExporter, redisExporter } from "./exporters.ts";
import { Grafana } from "./grafana.ts";
import { Prometheus } from "./prometheus.ts";

export interface MonitoringArgs
  extends Pick<
    Config,
    | "tenantPrefix"
    | "prometheus"
    | "adapter"
    | "autoscaler"
    | "gateway"
    | "grafana"
    | "postgres"
    | "trustedCertificates"
  > {
  platform: PlatformContext;
  /** Like `platform`, but the pods run on the nodes that `placement.stores` selects. Prometheus gets this context. */
  storesContext: PlatformContext;
  base: BaseImages;
  stores: Record<"postgres" | "redis", StoreConnection>;
}

const adapterName = "prometheus-adapter";

export function makeMonitoring(args: MonitoringArgs, opts: pulumi.ComponentResourceOptions): void {
  const { platform, base, stores, trustedCertificates } = args;
  const exporter = { platform, trustedCertificates };
  new Exporter(
    "postgres-exporter",
    { ...exporter, ...postgresExporter, image: base.postgresExporter, connection: stores.postgres },
    opts,
  );
  new Exporter(
    "redis-exporter",
    { ...exporter, ...redisExporter, image: base.redisExporter, connection: stores.redis },
    opts,
  );
  const apis = adapterApis(args);
  const certificate =
    apis.length > 0
      ? new AdapterCertificate(`${adapterName}-certificate`, { platform, service: adapterName }, opts)
      : null;
  const { url } = new Prometheus(
    "prometheus",
    {
      platform: args.storesContext,
      image: base.prometheus,
      config: args.prometheus,
      tenantPrefix: args.tenantPrefix,
      gateway: args.gateway !== "inside",
      autoscaled: args.autoscaler !== "off",
      adapter: certificate,
      backups: args.postgres.external === null,
    },
    opts,
  );
  if (certificate)
    new Adapter(
      adapterName,
      { platform, image: base.prometheusAdapter, prometheusUrl: url, config: args.adapter, apis, certificate },
      opts,
    );
  const dashboard = new DashboardMap("dashboard", { namespace: platform.namespace }, opts);
  if (args.grafana)
    new Grafana(
      "grafana",
      { platform, image: args.grafana.image, prometheusUrl: url, dashboard: dashboard.configMap },
      opts,
    );
}
