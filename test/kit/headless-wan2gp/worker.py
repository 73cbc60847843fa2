"""A small double of Headless-Wan2GP's worker.py: its command line and its protocol, with the standard library alone.

It checks its arguments and its environment, beats from a process of its own, claims, renders a tiny file, delivers it and
deletes it. What it sends, with which headers, is what the real worker sends.
"""

import argparse
import base64
import json
import multiprocessing
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SMALL_BYTES = 2_000_000
FOREIGN_PROJECT = "https://wczysqzxlwdndgxitrvc.supabase.co"


def parse_arguments():
    parser = argparse.ArgumentParser("WanGP Worker Server")
    parser.add_argument("--main-output-dir", default="./outputs")
    parser.add_argument("--poll-interval", type=int, default=10)
    parser.add_argument("--worker")
    parser.add_argument("--preload-model", default="")
    parser.add_argument("--supabase-url", default=FOREIGN_PROJECT)
    parser.add_argument("--reigh-access-token")
    parser.add_argument("--supabase-access-token")
    parser.add_argument("--supabase-anon-key", default="the public key of that project")
    return parser.parse_args()


def request(method, url, headers, body=None, timeout=15):
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(call, timeout=timeout) as answer:
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def beat(url, key, worker, parent):
    """The guardian's process: every heartbeat by the key as apikey alone, without Authorization."""
    while os.getppid() == parent:
        body = {
            "worker_id_param": worker,
            "vram_total_mb_param": 0,
            "vram_used_mb_param": 0,
            "logs_param": [],
            "status_param": "active",
        }
        headers = {"apikey": key, "Content-Type": "application/json", "Prefer": "return=representation"}
        try:
            request("POST", f"{url}/rest/v1/rpc/func_worker_heartbeat_with_logs", headers, body)
        except (urllib.error.URLError, OSError) as error:
            print(f"[GUARDIAN] heartbeat failed: {error}", flush=True)
        time.sleep(1)


class Service:
    """The functions that the worker calls, by its access token as Bearer."""

    def __init__(self, url, token, key):
        self.url = url
        self.key = key
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def call(self, name, body, timeout=15):
        return request("POST", f"{self.url}/functions/v1/{name}", self.headers, body, timeout)

    def assigned(self, worker):
        """The recovery's read: the table, with the client's key twice, as supabase-py sends it."""
        query = f"select=id,params,task_type,project_id&worker_id=eq.{worker}&status=eq.In%20Progress&limit=1"
        headers = {"apikey": self.key, "Authorization": f"Bearer {self.key}"}
        _, rows = request("GET", f"{self.url}/rest/v1/tasks?{query}", headers)
        return {"task_id": rows[0]["id"], **rows[0]} if rows else None

    def next_task(self, worker):
        recovered = self.assigned(worker)
        if recovered:
            return recovered
        _, counts = self.call("task-counts", {"run_type": "gpu", "include_active": True}, 10)
        if counts["totals"]["queued_only"] <= 0:
            return None
        status, task = self.call("claim-next-task", {"worker_id": worker, "run_type": "gpu"})
        return task if status == 200 else None

    def deliver(self, task, path):
        content = path.read_bytes()
        if len(content) < SMALL_BYTES:
            encoded = base64.b64encode(content).decode()
            self.call("complete_task", {"task_id": task, "file_data": encoded, "filename": path.name}, 60)
            return
        wanted = {
            "task_id": task,
            "filename": path.name,
            "content_type": "video/mp4",
            "generate_thumbnail_url": False,
        }
        _, upload = self.call("generate-upload-url", wanted, 30)
        request("PUT", upload["upload_url"], {"Content-Type": "video/mp4"}, content, 600)
        self.call("complete_task", {"task_id": task, "storage_path": upload["storage_path"]}, 60)


def render(task, folder):
    """A file that begins as a video does, of the length that the task asks for."""
    path = folder / f"2025-09-01-10h05m22s_seed42_{task['params'].get('prompt', 'a task')}.mp4"
    head = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    path.write_bytes(head + b"\x00" * (int(task["params"].get("bytes", 0)) or 1000))
    return path


def refuse(problem):
    print(f"double: {problem}", file=sys.stderr, flush=True)
    sys.exit(3)


def main():
    arguments = parse_arguments()
    token = arguments.reigh_access_token or arguments.supabase_access_token
    if not token:
        print("Error: Either --reigh-access-token or --supabase-access-token is required", file=sys.stderr)
        sys.exit(1)
    if arguments.supabase_url == FOREIGN_PROJECT or not arguments.worker:
        refuse("--supabase-url and --worker must be given")
    for name in ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_DB_URL"):
        if name in os.environ:
            refuse(f"{name} is in the environment of the pod")
    home = Path(__file__).resolve().parent
    if not (home / "Wan2GP" / "wgp.py").exists():
        print("WGP import failed: No module named 'wgp'", file=sys.stderr)
        sys.exit(1)
    outputs = Path(arguments.main_output_dir).resolve()
    outputs.mkdir(parents=True, exist_ok=True)
    for folder in (outputs, Path.cwd()):
        if str(folder).startswith(os.path.realpath(os.environ["RUNPOD_VOLUME_MOUNT_PATH"])):
            refuse(f"{folder} is on the volume")

    guardian = (arguments.supabase_url, arguments.supabase_anon_key, arguments.worker, os.getpid())
    multiprocessing.Process(target=beat, args=guardian, daemon=True).start()
    print(f"Worker {arguments.worker} started. Polling every {arguments.poll_interval}s.", flush=True)
    service = Service(arguments.supabase_url, token, arguments.supabase_anon_key)
    while True:
        try:
            task = service.next_task(arguments.worker)
        except (urllib.error.URLError, OSError) as error:
            print(f"[CLAIM] {error}", flush=True)
            task = None
        if not task:
            time.sleep(arguments.poll_interval)
            continue
        path = render(task, outputs)
        service.deliver(task["task_id"], path)
        path.unlink()
        print(f"task {task['task_id']} complete", flush=True)


if __name__ == "__main__":
    main()
