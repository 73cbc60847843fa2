# One pod looks from inside at what a GPU worker needs: network, GPU, storage. It changes nothing that stays.

pj_begin 3
test_all=""
test_failed=""

# check NAME true|false TEXT
check() {
  test_all="$test_all${test_all:+,}{\"check\":$(pj_text "$1"),\"ok\":$2,\"detail\":$(pj_text "$3")}"
  if [ "$2" = false ]; then test_failed="${test_failed:-$1: $3}"; fi
}

# writable NAME FOLDER: what is written there can be read again.
writable() {
  test_file="$2/.gpu-pool-spawn-test-$WORKER_ID"
  test_sum=$(dd if=/dev/urandom bs=65536 count=16 2>/dev/null | tee "$test_file" | cksum)
  if [ "$(cksum < "$test_file")" = "$test_sum" ]; then
    check "$1" true "$2 holds what is written to it, $(df -Pk "$2" | awk 'NR == 2 { printf "%d GB free", $4 / 1000000 }')"
  else
    check "$1" false "$2 does not hold what is written to it"
  fi
  rm -f "$test_file"
}

pj_step 1 network
if test_answer=$(pj_post running "$pj_dir/progress" 2>&1); then
  check network true "$SUPABASE_URL takes this pod's reports"
else
  check network false "$SUPABASE_URL does not take this pod's reports: $test_answer"
fi

pj_step 2 GPU
if test_gpu=$(nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>&1) && [ -n "$test_gpu" ]; then
  check GPU true "$test_gpu"
else
  check GPU false "nvidia-smi shows no GPU: ${test_gpu:-it printed nothing}"
fi

pj_step 3 storage
writable "container disk" "${TMPDIR:-/tmp}"
if [ -n "${SPAWN_TEST_VOLUME:-}" ]; then
  if [ -d "$RUNPOD_VOLUME_MOUNT_PATH" ]; then
    writable "network volume" "$RUNPOD_VOLUME_MOUNT_PATH"
  else
    check "network volume" false "$RUNPOD_VOLUME_MOUNT_PATH does not exist: volume $SPAWN_TEST_VOLUME is not mounted"
  fi
fi
if [ -n "${HEADLESS_WAN2GP_FOLDER:-}" ]; then
  if [ -f "$RUNPOD_VOLUME_MOUNT_PATH/.gpu-pool/manifest.json" ]; then
    check "prepared volume" true "$RUNPOD_VOLUME_MOUNT_PATH/.gpu-pool/manifest.json is there"
  else
    check "prepared volume" false "the volume is not prepared: gpu-pool volume prepare"
  fi
fi

if [ -n "$test_failed" ]; then
  printf '{"checks":[%s],"error":%s}' "$test_all" "$(pj_text "$test_failed")" > "$pj_dir/end"
  pj_end failed "$pj_dir/end"
else
  printf '{"checks":[%s]}' "$test_all" > "$pj_dir/end"
  pj_end done "$pj_dir/end"
fi
