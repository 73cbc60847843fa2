-- How many tasks may hang together. Whatever ends one of them ends the others in the same transaction, which must end in time.

-- Refuses what makes more unfinished tasks hang together with this one than a limit allows. The rows of one statement all exist
-- when it asks, so those that were counted with an earlier one of them are not counted again. Far from the top of a tree every
-- eighth task of the service key, by chance, counts the tree: a long chain that is written task by task would else take the
-- square of its length. Anybody else could repeat what was refused until chance lets it pass.
-- A plan of a short table, which Postgres keeps, would read the whole table for each task.
create or replace function require_small_tree(p_task_id uuid, p_field text) returns void
language plpgsql security definer set search_path = public, pg_temp set enable_seqscan = off as $$
declare
  most limits;
  counted text := current_setting('gpu_pool.counted', true);
  mark text := statement_timestamp() || ' ';
  task tasks;
  tree uuid[];
  above integer;
begin
  select * into most from limits;
  select * into task from tasks where id = p_task_id;
  with recursive chain (id, place) as (
    select p_task_id, 0
    union all
    select case when t.dependant_on is not null and t.gate = 'blocked' then t.dependant_on else t.parent_id end, place + 1
    from chain cross join lateral (
      select * from tasks where tasks.id = chain.id and status in ('Queued', 'In Progress') limit 1) as t
    where place <= most.task_chain
  ) select max(place) into above from chain where id is not null;
  if above >= most.task_chain then
    perform refuse_beyond('PT400', p_field, format('more than %s tasks would wait for each other', most.task_chain),
      'task_chain');
  end if;
  if starts_with(counted, mark) and strpos(counted, p_task_id::text) > 0 then
    return;
  end if;
  if most.task_fan_out < greatest(
    (select count(*) from (
      select from tasks where dependant_on = task.dependant_on and status = 'Queued' limit most.task_fan_out + 1) as d),
    (select count(*) from (
      select from tasks where parent_id = task.parent_id and status in ('Queued', 'In Progress')
      limit most.task_fan_out + 1) as c))
  then
    perform refuse_beyond('PT400', p_field, format('more than %s unfinished tasks would wait for one task, or be its sub-tasks',
      most.task_fan_out), 'task_fan_out');
  end if;
  if above > 3 and coalesce(nullif(current_setting('role', true), ''), 'none') in ('service_role', 'none') and random() > 0.125
  then
    return;
  end if;
  tree := array(
    with recursive tree (id) as (
      select p_task_id
      union
      select near.id from tree cross join lateral (select * from tasks where tasks.id = tree.id limit 1) as t cross join lateral (
        (select d.id from tasks d where d.dependant_on = t.id and d.status = 'Queued' limit most.task_tree + 1)
        union all
        (select c.id from tasks c where c.parent_id = t.id and c.status in ('Queued', 'In Progress') limit most.task_tree + 1)
        union all
        (select u.id from tasks u where u.id in (t.dependant_on, t.parent_id) and u.status in ('Queued', 'In Progress'))) as near
    ) select id from tree limit most.task_tree + 1);
  if cardinality(tree) > most.task_tree then
    perform refuse_beyond('PT400', p_field, format('more than %s unfinished tasks would hang together', most.task_tree),
      'task_tree');
  end if;
  counted := set_config('gpu_pool.counted', mark || array_to_string(tree, ' '), true);
end $$;
select grant_to_service('require_small_tree(uuid, text)');
