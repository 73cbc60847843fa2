-- Undoes pg_cron_wake.sql for all pools: ends the jobs, forgets the secrets, and nobody may wake pools any more. It may be
-- run again. The extensions stay.

do $$
begin
  if to_regclass('cron.job') is not null then
    perform cron.unschedule(jobid) from cron.job where jobname like 'gpu-pool-wake-%';
  end if;
  if to_regclass('vault.secrets') is not null then
    delete from vault.secrets where name in ('gpu_pool_wake_secret', 'gpu_pool_project_url');
  end if;
  perform public.set_wake_secret(null);
  delete from public.wake_requests where true;
  perform public.close_alert('no_worker_process', 'deployment');
end $$;
