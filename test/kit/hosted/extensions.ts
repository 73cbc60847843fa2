/*
 * The extensions that a hosted project has and no registry: Vault and pg_net with their exact signatures; and pg_cron, which starts
 * nothing by itself here.
 */

/** Vault keeps secrets encrypted; this one does not. */
export const VAULT = `
  create schema vault;
  create table vault.secrets (id uuid primary key default gen_random_uuid(), name text unique, description text not null
    default '', secret text not null, key_id uuid, created_at timestamptz default now(), updated_at timestamptz default now());
  create view vault.decrypted_secrets as
    select id, name, description, secret, secret as decrypted_secret, key_id, created_at, updated_at from vault.secrets;
  create function vault.create_secret(new_secret text, new_name text default null, new_description text default '',
    new_key_id uuid default null) returns uuid language sql as $$
    insert into vault.secrets (secret, name, description, key_id)
    values (new_secret, new_name, new_description, new_key_id) returning id $$;`;

/** Requests wait in net.http_request_queue until somebody sends them, after the transaction that made them. */
export const PG_NET = `
  create schema net;
  create unlogged table net.http_request_queue (id bigserial primary key, method text not null, url text not null,
    headers jsonb, body bytea, timeout_milliseconds int not null);
  create unlogged table net._http_response (id bigint, status_code integer, content_type text, headers jsonb, content text,
    timed_out bool, error_msg text, created timestamptz not null default now());
  create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 5000) returns bigint
  language plpgsql as $$
  declare
    content_type text;
    request_id bigint;
  begin
    select value into content_type from jsonb_each_text(headers) where lower(key) = 'content-type' limit 1;
    if content_type is distinct from 'application/json' then
      raise exception 'Content-Type header must be "application/json"';
    end if;
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values ('POST', http_post.url, http_post.headers, convert_to(http_post.body::text, 'utf8'), http_post.timeout_milliseconds)
    returning id into request_id;
    return request_id;
  end $$;`;

/** @param seconds whether schedules of seconds are accepted, as from pg_cron 1.5 on. */
export function pgCron(seconds: boolean): string {
  return `
  create schema cron;
  create table cron.job (jobid bigserial primary key, schedule text not null, command text not null, jobname name unique);
  create table cron.job_run_details (jobid bigint, runid bigserial primary key, status text, end_time timestamptz);
  create function cron.schedule(job_name text, schedule text, command text) returns bigint language plpgsql as $$
  declare
    made bigint;
  begin
    if schedule !~ '^(\\S+ ){4}\\S+$' and not (${seconds} and schedule ~ '^([1-9]|[1-5][0-9]) seconds$') then
      raise exception 'invalid schedule: %', schedule;
    end if;
    insert into cron.job (jobname, schedule, command) values (job_name, $2, $3)
    on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command returning jobid into made;
    return made;
  end $$;
  create function cron.unschedule(job_id bigint) returns bool language sql as $$
    with gone as (delete from cron.job where jobid = job_id returning 1) select exists (select from gone) $$;`;
}

type Rows = <T>(statement: string, values?: readonly unknown[]) => Promise<T[]>;

/** Does what pg_net's process does: sends the requests that wait, and stores the answers. @returns their statuses */
export async function sendRequests(rows: Rows): Promise<number[]> {
  const waiting = await rows<{ id: string; url: string; headers: Record<string, string>; body: Buffer }>(
    "delete from net.http_request_queue returning id, url, headers, body",
  );
  const statuses: number[] = [];
  for (const { id, url, headers, body } of waiting) {
    const answer = await fetch(url, { method: "POST", headers, body: new Uint8Array(body) });
    await rows("insert into net._http_response (id, status_code, content) values ($1, $2, $3)", [
      id,
      answer.status,
      await answer.text(),
    ]);
    statuses.push(answer.status);
  }
  return statuses;
}
