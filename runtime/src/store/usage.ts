/** What tenants have used, computed from the audit trail alone. */
import { sql } from "kysely";
import type { Tier } from "../domain/tiers.ts";
import type { Database } from "./database.ts";

export interface TierUsage {
  /** The day in UTC, e.g. 2026-11-21. */
  day: string;
  tier: Tier;
  /** For how long the tenant's sessions of this tier ran on that day, added up, in seconds. */
  seconds: number;
}

export class Usage {
  constructor(private readonly database: Database) {}

  /**
   * The tenant's usage from the day `from` to the day `to`, both included and both as YYYY-MM-DD in UTC. A session is used
   * while it is `running`; one that runs now is counted up to now. Days and tiers without use are left out.
   */
  async ofTenant(tenant: string, from: string, to: string): Promise<TierUsage[]> {
    const { rows } = await sql<TierUsage>`
      with days as (
        select day, day at time zone 'UTC' as begins, (day + interval '1 day') at time zone 'UTC' as ends
        from generate_series(${from}::date::timestamp, ${to}::date::timestamp, interval '1 day') as day
      ), spans as (
        select sessions.tier, event.state, event.at as begins,
          coalesce(lead(event.at) over (partition by event.session_id order by event.id), now()) as ends
        from session_events as event join sessions on sessions.id = event.session_id
        where sessions.tenant = ${tenant} and sessions.started_at is not null
          and sessions.warm is null and event.at >= sessions.created_at
          and sessions.created_at < (${to}::date + 1)::timestamp at time zone 'UTC'
          and coalesce(sessions.ended_at, now()) >= ${from}::date::timestamp at time zone 'UTC'
      )
      select to_char(days.day, 'YYYY-MM-DD') as day, spans.tier,
        sum(extract(epoch from least(spans.ends, days.ends) - greatest(spans.begins, days.begins)))::float8 as seconds
      from days join spans on spans.begins < days.ends and spans.ends > days.begins
      where spans.state = 'running'
      group by days.day, spans.tier
      order by days.day, spans.tier`.execute(this.database);
    return rows;
  }
}
