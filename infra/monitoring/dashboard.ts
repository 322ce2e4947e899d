/** Makes Grafana's JSON for the dashboard "Berth". */
import {
  type Dashboard,
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { type Panel, rows } from "./dashboard-panels.ts";

/** The user chooses the Prometheus in the dashboard, because the dashboard may be in the user's own Grafana. */
const datasource = { type: "prometheus", uid: "$datasource" };

export function dashboard(): Dashboard {
  const builder = new DashboardBuilder("Berth")
    .uid("berth")
    .tags(["berth"])
    .refresh("30s")
    .time({ from: "now-3h", to: "now" })
    .timezone("browser")
    .withVariable(new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"))
    .withVariable(
      new QueryVariableBuilder("tenant")
        .label("Tenant")
        .datasource(datasource)
        .query("label_values(berth_tenant_sessions, tenant)")
        .includeAll(true)
        .allValue(".+")
        .multi(true),
    );
  for (const [title, panels] of Object.entries(rows)) {
    builder.withRow(new RowBuilder(title));
    for (const one of panels) builder.withPanel(panel(one));
  }
  return builder.build();
}

/** Makes a panel with a third of the dashboard's width. */
function panel({ title, description, unit, queries }: Panel): PanelBuilder {
  const builder = new PanelBuilder().title(title).datasource(datasource).span(8).height(7).min(0);
  if (description) builder.description(description);
  if (unit) builder.unit(unit);
  for (const [legend, expr] of Object.entries(queries))
    builder.withTarget(new DataqueryBuilder().datasource(datasource).expr(expr).legendFormat(legend));
  return builder;
}
