# Reports of a pod that was rented for one job, in POSIX shell, for the scripts beside this file. gp_say and gp_delete_pod come
# with every start command. What is secret goes to curl by its standard input, because arguments are shown to every process.

pj_dir="${TMPDIR:-/tmp}/pod-job"
mkdir -p "$pj_dir"

# pj_text TEXT: a JSON string of at most 1,000 characters of ASCII, without those that JSON would have to escape.
pj_text() { printf '"%s"' "$(printf '%s' "$1" | tr '[:cntrl:]' ' ' | LC_ALL=C tr -cd ' -~' | tr -d '\\"' | cut -c 1-1000)"; }

# pj_post STATE FILE: sends the report in FILE once.
pj_post() {
  pj_key="${SUPABASE_ANON_KEY:-${SUPABASE_SERVICE_ROLE_KEY:-}}"
  { printf '{"p_worker_id":"%s","p_state":"%s","p_report":' "$WORKER_ID" "$1" && cat "$2" && printf '}'; } > "$2.body"
  {
    printf 'header = "apikey: %s"\n' "$pj_key"
    if [ -n "${WORKER_TOKEN:-}" ]; then
      printf 'header = "x-worker-token: %s"\n' "$WORKER_TOKEN"
    else
      printf 'header = "authorization: Bearer %s"\n' "$pj_key"
    fi
  } | curl -fsS -m 20 -o /dev/null -K - -H 'content-type: application/json' --data-binary "@$2.body" \
    "$SUPABASE_URL/rest/v1/rpc/pod_job_report"
}

# pj_progress JSON: what the next reports say.
pj_progress() {
  printf '%s' "$1" > "$pj_dir/progress.new" && mv "$pj_dir/progress.new" "$pj_dir/progress"
}

pj_reports() {
  while :; do
    cp "$pj_dir/progress" "$pj_dir/sent" && pj_post running "$pj_dir/sent" || gp_say "the report was not accepted; trying again"
    sleep "${POD_JOB_REPORT_SEC:-5}"
  done
}

# pj_begin STEPS: from now on the pod reports how far it is.
pj_begin() {
  pj_steps="$1"
  if ! command -v curl >/dev/null 2>&1; then
    gp_say "curl is missing in this image: nothing can be reported"
    exit 1
  fi
  pj_step 1 begins
  pj_reports &
  pj_reporter=$!
}

# pj_step NUMBER NAME
pj_step() {
  pj_now="$2"
  gp_say "step $1 of $pj_steps: $2"
  pj_progress "{\"step\":$1,\"steps\":$pj_steps,\"name\":$(pj_text "$2")}"
}

# pj_end STATE FILE: the last report, until it is accepted. Then the workflow deletes the pod. If it does not, the pod does so
# itself; a while later after a failure, so that its log can be read.
pj_end() {
  kill "$pj_reporter" 2>/dev/null
  gp_say "the job is $1: $(cut -c 1-1000 "$2")"
  until pj_post "$1" "$2"; do
    gp_say "the last report was not accepted; trying again"
    sleep 10
  done
  if [ "$1" = failed ]; then sleep 300; fi
  sleep 60
  until gp_delete_pod; do sleep 60; done
  exit 0
}

# pj_fail TEXT: why the job cannot go on.
pj_fail() {
  printf '{"error":%s,"name":%s}' "$(pj_text "$*")" "$(pj_text "$pj_now")" > "$pj_dir/failed"
  pj_end failed "$pj_dir/failed"
}
