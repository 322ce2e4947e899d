/**
 * What tenants have used, computed from the audit trail. Soon after a session's end, its usage is added to the table
 * `usage_days`, and stays there when the session is deleted. So `ofTenant` reads that table, and the events of only those
 * sessions that are not part of it yet.
 */
import { type RawBuilder, sql } from "kysely";
import type { Tier } from "../domain/tiers.ts";
import { isUse } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import { dueByTenant } from "./dueByTenant.ts";

export interface TierUsage {
  /** The day in UTC, for example 2026-11-21. */
  day: string;
  tier: Tier;
  /** How many seconds the tenant's sessions of this tier ran on that day, in total. */
  seconds: number;
}

/** How many sessions one statement adds to `usage_days`. */
export const usageBatch = 200;

/**
 * The seconds in state `running` by tenant, day and tier, of the sessions in the common table expression `counted`. Only the
 * time that a user had the session counts, up to now if the session still runs. Events of uses are left out, because they
 * change no state and a session may have very many of them.
 */
const runningDays = sql`
  spans as (
    select counted.tenant, counted.tier, event.state, event.at as begins,
      coalesce(lead(event.at) over (partition by event.session_id order by event.id), now()) as ends
    from counted join session_events as event on event.session_id = counted.id
    where counted.started_at is not null and counted.warm is null and event.at >= counted.created_at and not (${isUse})
  ), running_days as (
    select spans.tenant, day::date as day, spans.tier,
      sum(extract(epoch from
        least(spans.ends at time zone 'UTC', day + interval '1 day') - greatest(spans.begins at time zone 'UTC', day)
      ))::float8 as seconds
    from spans cross join lateral generate_series(
      date_trunc('day', spans.begins at time zone 'UTC'), spans.ends at time zone 'UTC', interval '1 day') as day
    where spans.state = 'running' and spans.ends > spans.begins
    group by spans.tenant, day::date, spans.tier
  )`;

const columns = sql`id, tenant, tier, started_at, warm, created_at`;

export class Usage {
  constructor(private readonly database: Database) {}

  /**
   * The tenant's usage from the day `from` to the day `to`, both included, as YYYY-MM-DD in UTC. Days and tiers without usage
   * are left out. The query's time grows with the number of the tenant's sessions that are not in `usage_days`.
   */
  async ofTenant(tenant: string, from: string, to: string): Promise<TierUsage[]> {
    const inRange = (day: RawBuilder<unknown>) => sql`${day} between ${from}::date and ${to}::date`;
    const { rows } = await sql<TierUsage>`
      with counted as (
        select ${columns} from sessions where tenant = ${tenant} and not usage_counted
          and created_at < (${to}::date + 1)::timestamp at time zone 'UTC'
          and coalesce(ended_at, now()) >= ${from}::date::timestamp at time zone 'UTC'
      ), ${runningDays}, both_days as (
        select day, tier, seconds from usage_days where tenant = ${tenant} and ${inRange(sql`day`)}
        union all
        select day, tier, seconds from running_days where ${inRange(sql`day`)}
      )
      select to_char(day, 'YYYY-MM-DD') as day, tier, sum(seconds)::float8 as seconds
      from both_days group by both_days.day, tier order by both_days.day, tier`.execute(this.database);
    return rows;
  }

  /**
   * Adds the usage of at most `usageBatch` ended sessions to `usage_days`, and returns the number of these sessions. This is
   * one statement, so that a call of `ofTenant` at the same moment also counts each session exactly once.
   */
  async countEnded(): Promise<number> {
    const isUncounted = sql<boolean>`not usage_counted and ended_at is not null`;
    const due = dueByTenant({
      table: "sessions",
      condition: isUncounted,
      order: sql`ended_at`,
      limit: usageBatch,
    });
    const { rows } = await sql`
      with recursive ${due}, counted as materialized (
        select ${columns} from sessions where id = any(array(select id from due)) and not usage_counted for update skip locked
      ), ${runningDays}, added as (
        insert into usage_days (tenant, day, tier, seconds) select tenant, day, tier, seconds from running_days
        on conflict (tenant, day, tier) do update set seconds = usage_days.seconds + excluded.seconds
      )
      update sessions set usage_counted = true from counted where sessions.id = counted.id
      returning sessions.id`.execute(this.database);
    return rows.length;
  }
}
