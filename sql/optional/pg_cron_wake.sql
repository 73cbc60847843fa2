-- Optional: lets pg_cron ask for one cycle of a pool every 30 seconds. gpu-pool db migrate never applies it, and
-- docs/deployment/pg-cron.md explains it. Run all of it in the SQL editor of the project or with psql, as the owner of the
-- database, after gpu-pool db migrate and after this, once, with the project's own address:
--
--   select vault.create_secret('https://PROJECT.supabase.co', 'gpu_pool_project_url');
--
-- It may be run again. For another pool or another interval, change the first two lines below and run it again: each pool
-- has a job of its own. The file pg_cron_wake_remove.sql undoes it.

do $$
declare
  pool_name constant text := 'main';
  every constant text := '30 seconds';

  project_url text;
  secret text;
begin
  if to_regprocedure('public.set_wake_secret(text)') is null then
    raise exception 'the schema of gpu-pool is missing or older than this file'
      using hint = 'Run gpu-pool db migrate first.';
  end if;
  if to_regclass('vault.decrypted_secrets') is null then
    raise exception 'Vault is missing (the view vault.decrypted_secrets)'
      using hint = 'Enable it: create extension supabase_vault cascade;';
  end if;
  if to_regnamespace('cron') is null then
    create extension pg_cron;
  end if;
  if to_regnamespace('net') is null then
    create extension pg_net;
  end if;

  if not exists (select from public.pools where name = pool_name) then
    raise warning 'there is no pool % yet, and requests are answered 404: gpu-pool cycle --pool % makes it', pool_name, pool_name;
  end if;

  select decrypted_secret into project_url from vault.decrypted_secrets where name = 'gpu_pool_project_url';
  if project_url is null or project_url !~ '^https?://[^/]+/?$' then
    raise exception 'Vault holds no address of the project as gpu_pool_project_url'
      using hint = 'Run select vault.create_secret(''https://PROJECT.supabase.co'', ''gpu_pool_project_url''); first.';
  end if;

  -- Nobody needs to know the secret: Vault holds it for the job, and the database its hash for the edge function.
  select decrypted_secret into secret from vault.decrypted_secrets where name = 'gpu_pool_wake_secret';
  if secret is null then
    secret := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    perform vault.create_secret(secret, 'gpu_pool_wake_secret', 'The bearer with which pg_cron calls orchestrator-wake');
  end if;
  perform public.set_wake_secret(secret);

  begin
    perform cron.schedule('gpu-pool-wake-' || pool_name, every, format($job$
      select net.http_post(
        url := (select rtrim(decrypted_secret, '/') from vault.decrypted_secrets where name = 'gpu_pool_project_url')
          || '/functions/v1/orchestrator-wake',
        headers := jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer '
          || (select decrypted_secret from vault.decrypted_secrets where name = 'gpu_pool_wake_secret')),
        body := jsonb_build_object('pool', %L::text),
        timeout_milliseconds := 10000)
    $job$, pool_name));
  exception when others then
    raise exception 'pg_cron % refuses the schedule %: %',
      coalesce((select extversion from pg_extension where extname = 'pg_cron'), '(no extension)'), every, sqlerrm
      using hint = 'Seconds came with pg_cron 1.5. Update it (alter extension pg_cron update), or set every to * * * * *, '
        'which is once a minute.';
  end;

  -- pg_cron keeps a row of every run for ever.
  perform cron.schedule('gpu-pool-wake-clean-up', '7 * * * *', $job$
    delete from cron.job_run_details where end_time < now() - interval '1 day' and jobid in (
      select jobid from cron.job where jobname like 'gpu-pool-wake-%')
  $job$);
end $$;
