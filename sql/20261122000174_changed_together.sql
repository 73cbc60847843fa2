-- Changes of many tasks by the end or the opening of another one. A task that the database refuses to change is left out and
-- named: it must keep neither the others nor that one from their change. The janitor tries it again.

-- Ends these tasks, which the caller has locked. Answers those that ended.
create or replace function end_together(p_ids uuid[], p_status text, p_failed_by uuid, p_error text) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  one uuid;
  ended uuid[] := '{}';
begin
  if cardinality(p_ids) = 0 then
    return p_ids;
  end if;
  begin
    update tasks set status = p_status, failed_by = p_failed_by, error_message = p_error where id = any (p_ids);
    return p_ids;
  exception when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
  end;
  foreach one in array p_ids loop
    begin
      update tasks set status = p_status, failed_by = p_failed_by, error_message = p_error where id = one;
      ended := ended || one;
    exception when others or assert_failure then
      perform set_row_aside(one::text, null, 'a task cannot end with the one that it hangs on', sqlstate, sqlerrm);
    end;
  end loop;
  return ended;
end $$;
select grant_to_service('end_together(uuid[], text, uuid, text)');

-- Gives these queued tasks, which the caller has locked, this gate. Answers those that have it now.
create or replace function gate_together(p_ids uuid[], p_gate text) returns uuid[]
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  one uuid;
  changed uuid[] := '{}';
begin
  if cardinality(p_ids) = 0 then
    return p_ids;
  end if;
  begin
    update tasks set gate = p_gate where id = any (p_ids);
    return p_ids;
  exception when others or assert_failure then
    if not is_refusal(sqlstate) then
      raise;
    end if;
  end;
  foreach one in array p_ids loop
    begin
      update tasks set gate = p_gate where id = one;
      changed := changed || one;
    exception when others or assert_failure then
      perform set_row_aside(one::text, null, 'a task that waits cannot be opened', sqlstate, sqlerrm);
    end;
  end loop;
  return changed;
end $$;
select grant_to_service('gate_together(uuid[], text)');
