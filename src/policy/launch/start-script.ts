/*
 * The parts of a pod's start command, in POSIX shell. The text is the same for every worker and holds no secret: the
 * pod's own shell expands what it needs from the pod's environment. Secrets go to curl by its standard input, because
 * arguments are shown to every process.
 */

/** `gp_say TEXT…`: a line in the container's log. */
const SAY = `gp_say() { printf '%s gpu-pool: %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }`;

/**
 * `gp_stage NAME`: reports the boot stage that begins, installing or loading, to the database. `gp_fail TEXT`: reports why
 * the boot cannot go on, and ends the container. A report that gets no answer changes nothing.
 */
const STAGE = `gp_report() {
  if [ -z "\${WORKER_TOKEN:-}" ] || ! command -v curl >/dev/null 2>&1; then return 0; fi
  printf 'header = "apikey: %s"\\nheader = "x-worker-token: %s"\\n' "$SUPABASE_ANON_KEY" "$WORKER_TOKEN" |
    curl -sS -m 10 -o /dev/null -K - -H 'content-type: application/json' \\
      -d "{\\"p_worker_id\\":\\"$WORKER_ID\\",\\"p_stage\\":\\"$gp_now\\"$1}" "$SUPABASE_URL/rest/v1/rpc/worker_report_boot" || true
}
gp_stage() {
  gp_now="$1"
  gp_say "boot stage $gp_now"
  gp_report ""
}
gp_fail() {
  gp_say "$*"
  gp_report ",\\"p_error\\":\\"$(printf '%s' "$*" | tr -d '\\\\"' | tr '[:cntrl:]' ' ')\\""
  exit 1
}
gp_now=installing`;

/**
 * Deletes the pod by the key that Runpod injects into it, again every minute, from POD_ENDS_AT_SEC on. It is an instant
 * and no duration: a restarted container must not begin the time again. Short sleeps, because a clock may be adjusted.
 */
const FUSE = `gp_delete_pod() {
  if command -v curl >/dev/null 2>&1; then
    printf 'header = "Authorization: Bearer %s"\\n' "$RUNPOD_API_KEY" |
      curl -fsS -m 15 -o /dev/null -K - -A gpu-pool-pod -X DELETE "$RUNPOD_API_URL/pods/$RUNPOD_POD_ID"
  else
    python3 -c 'import os, urllib.request as u
e = os.environ
h = {"Authorization": "Bearer " + e["RUNPOD_API_KEY"], "User-Agent": "gpu-pool-pod"}
u.urlopen(u.Request(e["RUNPOD_API_URL"] + "/pods/" + e["RUNPOD_POD_ID"], method="DELETE", headers=h), timeout=15)'
  fi
}
gp_fuse() {
  while gp_left=$((POD_ENDS_AT_SEC - $(date +%s))); [ "$gp_left" -gt 0 ]; do
    sleep "$((gp_left > 60 ? 60 : gp_left))"
  done
  gp_say "pod $RUNPOD_POD_ID has outlived its end, and nobody has deleted it: it deletes itself now"
  until gp_delete_pod; do
    gp_say "pod $RUNPOD_POD_ID could not be deleted and may be billing; trying again"
    sleep 60
  done
}
if [ -z "\${POD_ENDS_AT_SEC:-}" ] || [ -z "\${RUNPOD_POD_ID:-}" ] || [ -z "\${RUNPOD_API_KEY:-}" ]; then
  gp_say "this pod cannot end itself: POD_ENDS_AT_SEC, RUNPOD_POD_ID or RUNPOD_API_KEY is not set"
elif ! command -v curl >/dev/null 2>&1 && ! command -v python3 >/dev/null 2>&1; then
  gp_say "this pod cannot end itself: its image has neither curl nor python3"
else
  gp_fuse &
fi`;

/** Lets the operator's key in, as the start script of Runpod's own images does. A pod works without it. */
const SSH = `if [ -n "\${PUBLIC_KEY:-}" ]; then
  mkdir -p "\${HOME:-/root}/.ssh" && chmod 700 "\${HOME:-/root}/.ssh" &&
    printf '%s\\n' "$PUBLIC_KEY" >> "\${HOME:-/root}/.ssh/authorized_keys"
  ssh-keygen -A >/dev/null 2>&1 && service ssh start >/dev/null 2>&1 || gp_say "no SSH server could be started"
fi`;

const PRELUDE = [SAY, STAGE, FUSE, SSH].join("\n");

/**
 * Headless-Wan2GP from its volume, by the command line of docs/launch.md. It runs in a folder on the container's disk:
 * its results, and what it writes below the current folder, must not fill a volume that all workers share.
 */
const HEADLESS_WAN2GP = `gp_stage installing
gp_home="$RUNPOD_VOLUME_MOUNT_PATH/$HEADLESS_WAN2GP_FOLDER"
gp_python="$gp_home/$HEADLESS_WAN2GP_VENV/bin/python"
for gp_file in "$gp_home/worker.py" "$gp_home/Wan2GP/wgp.py" "$gp_python"; do
  if [ ! -e "$gp_file" ]; then
    gp_fail "$gp_file does not exist: is the volume prepared, and are HEADLESS_WAN2GP_FOLDER and HEADLESS_WAN2GP_VENV right?"
  fi
done
if [ -n "\${HEADLESS_WAN2GP_PACKAGES:-}" ] && ! dpkg -s $HEADLESS_WAN2GP_PACKAGES >/dev/null 2>&1; then
  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $HEADLESS_WAN2GP_PACKAGES ||
    gp_fail "the system packages $HEADLESS_WAN2GP_PACKAGES could not be installed"
fi
gp_output="\${TMPDIR:-/tmp}/headless-wan2gp/$WORKER_ID"
mkdir -p "$gp_output" && cd "$gp_output" || gp_fail "the folder $gp_output could not be made"
gp_stage loading
set -f
exec "$gp_python" -u "$gp_home/worker.py" --worker "$WORKER_ID" --supabase-url "$OLD_WORKER_URL" \\
  --supabase-access-token "$WORKER_TOKEN" --supabase-anon-key "$WORKER_TOKEN" \\
  --main-output-dir "$gp_output" $HEADLESS_WAN2GP_ARGS`;

/** The whole script for Headless-Wan2GP. */
export const HEADLESS_WAN2GP_SCRIPT = `${PRELUDE}\n${HEADLESS_WAN2GP}`;

/** @param command what the operator wants the pod's shell to run */
export function scriptFor(command: string): string {
  return `${PRELUDE}\n${command}`;
}

/** Runs the program that follows in the command line, in place of the shell. */
export const EXEC_SCRIPT = `${PRELUDE}\nexec "$@"`;
