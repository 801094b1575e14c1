// Uses the types that openapi-typescript made. Usage: node client.mjs URL KEY APP
import createClient from "openapi-fetch";
import type { components, paths } from "./meter.js";

declare const process: { argv: string[]; exitCode: number };
const [url, key, app] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

function check(holds: boolean, seen: unknown) {
  if (holds) return;
  console.error(JSON.stringify(seen));
  process.exitCode = 1;
}

const sessions: components["schemas"]["Session"][] = [
  { app_id: app, session_id: "typescript-1", started_at: "2024-02-01T12:00:00Z", attributes: { plan: "pro", seats: 5 } },
  { app_id: app, session_id: "typescript-2", started_at: 1_706_788_800, duration: 12.5 },
];
const tracked = await client.POST("/sessions/track", { body: { sessions } });
check(tracked.data?.sessions_processed === 2 && tracked.data.duplicates === 0, tracked.error);

const query = { length: 2, unit: "day", ending_at: "2024-02-01", app_id: app } as const;
const series = await client.GET("/sessions/data_series", { params: { query } });
const points: { time: string; sessions: number }[] = series.data?.data ?? [];
check(JSON.stringify(points.map((point) => point.sessions)) === "[0,2]", series);

const refused = await client.GET("/sessions/data_series", { params: { query: { length: 0 } } });
check(refused.error?.message.includes("'length'") === true, refused);

// @ts-expect-error: there is no such unit.
void ((): keyof object => client.GET("/sessions/data_series", { params: { query: { length: 1, unit: "year" } } }));

const filter: components["schemas"]["Filter"] = {
  all: [{ field: "country", op: "in", value: ["BR", "MX"] }, { not: { field: "first_session", op: "eq", value: true } }],
};
const created = await client.POST("/segments/create", { body: { name: "Latin America", filter } });
check(created.response.status === 201, created.error);
