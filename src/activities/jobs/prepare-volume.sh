# Lays out Headless-Wan2GP on a network volume: code, Python environment, packages, weights. Each step leaves its mark when it is
# done, written in one piece, so a pod that goes on after another's death does only what is missing. The manifest comes last.

set -u
pj_begin 7
prepare_root="$RUNPOD_VOLUME_MOUNT_PATH"
prepare_state="$prepare_root/.gpu-pool"
prepare_home="$prepare_root/$HEADLESS_WAN2GP_FOLDER"
prepare_venv="$prepare_home/$HEADLESS_WAN2GP_VENV"
prepare_python="$prepare_venv/bin/python"
prepare_tools="git cmake ninja-build build-essential python3-dev python3-venv"
export prepare_root prepare_state prepare_home prepare_python pj_dir pj_steps
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'

# marked NAME KEY: this step was done, for this key. mark NAME KEY: it is done now.
marked() { [ "$(cat "$prepare_state/$1.done" 2>/dev/null)" = "$2" ]; }
mark() {
  printf '%s\n' "$2" > "$prepare_state/$1.done.new" && mv "$prepare_state/$1.done.new" "$prepare_state/$1.done" ||
    pj_fail "the mark of step $1 could not be written to $prepare_state: is the volume full?"
}
# A part that changes makes the manifest untrue until the end.
changes() { rm -f "$prepare_state/manifest.json"; }

mkdir -p "$prepare_state" || pj_fail "the volume at $prepare_root cannot be written to"

pj_step 1 "system packages"
if ! dpkg -s $HEADLESS_WAN2GP_PACKAGES $prepare_tools >/dev/null 2>&1; then
  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $HEADLESS_WAN2GP_PACKAGES $prepare_tools ||
    pj_fail "the system packages $HEADLESS_WAN2GP_PACKAGES $prepare_tools could not be installed"
fi

pj_step 2 "code at commit $PREPARE_COMMIT"
if ! marked code "$PREPARE_COMMIT"; then
  changes
  rm -f "$prepare_home/.git/index.lock" "$prepare_home/.git/shallow.lock"
  git init -q "$prepare_home" && cd "$prepare_home" || pj_fail "no checkout could be made at $prepare_home"
  git fetch -q --depth 1 "$PREPARE_REPOSITORY" "$PREPARE_COMMIT" ||
    pj_fail "commit $PREPARE_COMMIT could not be fetched from $PREPARE_REPOSITORY"
  git checkout -q --force --detach FETCH_HEAD || pj_fail "commit $PREPARE_COMMIT could not be checked out at $prepare_home"
  if [ "$(git rev-parse HEAD)" != "$PREPARE_COMMIT" ]; then
    pj_fail "the checkout is $(git rev-parse HEAD), not $PREPARE_COMMIT: give the whole hash"
  fi
  mark code "$PREPARE_COMMIT"
fi

pj_step 3 "Python environment"
prepare_which=$("$PREPARE_PYTHON" -c 'import sys; print(sys.executable, sys.version.split()[0])') ||
  pj_fail "$PREPARE_PYTHON does not run in image $PREPARE_IMAGE: set HEADLESS_WAN2GP_PYTHON to one that it has"
# An environment is bound to the interpreter, and so to the image.
prepare_key="$PREPARE_IMAGE | $prepare_which | $PREPARE_TORCH"
if ! marked venv "$prepare_key"; then
  changes
  rm -rf "$prepare_venv"
  "$PREPARE_PYTHON" -m venv "$prepare_venv" || pj_fail "no Python environment could be made at $prepare_venv"
  mark venv "$prepare_key"
fi

pj_step 4 "Python packages"
# packages NAME PIP-ARGUMENTS…
packages() {
  prepare_part="$1"
  prepare_part_key="$prepare_key | $PREPARE_COMMIT | $*"
  shift
  if ! marked "packages-$prepare_part" "$prepare_part_key"; then
    changes
    "$prepare_python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" ||
      pj_fail "pip install $* failed"
    mark "packages-$prepare_part" "$prepare_part_key"
  fi
}
packages tools --upgrade pip wheel setuptools
packages torch $PREPARE_TORCH
packages wan2gp -r "$prepare_home/Wan2GP/requirements.txt"
packages worker -r "$prepare_home/requirements.txt"

pj_step 5 "weights of $PREPARE_MODELS"
"$prepare_python" - <<'PYTHON' 2> "$pj_dir/problem" || pj_fail "weights: $(tail -n 1 "$pj_dir/problem")"
import json, os, subprocess, sys, time, urllib.error, urllib.request

ENV = os.environ
CODE = os.path.join(ENV["prepare_home"], "Wan2GP")
TARGET = os.path.join(CODE, "ckpts")
GB = 1_000_000_000
# Wan2GP's own default.
QUANTIZATION = ("quanto", "int8")
CHUNK = 1024 * 1024


def fail(text):
    sys.exit(text)


def definition(model):
    path = os.path.join(CODE, "defaults", model + ".json")
    if not os.path.isfile(path):
        fail(f"{model} is no model of this commit: {path} does not exist")
    with open(path) as file:
        return json.load(file)["model"]


def values(model, key, depth=0):
    """A text in place of a list names another definition."""
    found = definition(model).get(key, [])
    if isinstance(found, str):
        if depth > 10:
            fail(f"the definition of {model} refers to itself by {key}")
        return values(found, key, depth + 1)
    return found


def variant(urls):
    """One of several quantisations of the same weights, as Wan2GP chooses."""
    named = [url for url in urls if all(word in os.path.basename(url).lower() for word in QUANTIZATION)]
    bf16 = [url for url in named if "bf16" in os.path.basename(url).lower()]
    return (bf16 or named or list(urls))[:1]


def urls_of(model):
    found = variant(values(model, "URLs")) + variant(values(model, "URLs2"))
    for module in values(model, "modules"):
        if isinstance(module, dict):
            found += variant(module["URLs"]) + variant(module.get("URLs2", []))
        elif isinstance(module, list):
            found += variant(module)
        elif "#" not in module:
            found += variant(sum(values(module, "modules"), []))
    found += values(model, "preload_URLs") + variant(values(model, "text_encoder_URLs"))
    return [url for url in found if url.startswith("http")]


def patiently(what, act):
    for attempt in range(6):
        try:
            return act()
        except (OSError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code not in (408, 429):
                fail(f"{what}: {error}")
            if attempt == 5:
                fail(f"{what}: {error}")
            time.sleep(min(2**attempt, 30))


def length_of(url):
    def ask():
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as reply:
            return int(reply.headers["X-Linked-Size"] or reply.headers["Content-Length"] or -1)

    length = patiently(f"asking the size of {url}", ask)
    if length < 0:
        fail(f"{url}: the server does not say its size")
    return length


def size(path):
    return os.path.getsize(path) if os.path.isfile(path) else 0


files = {os.path.join(TARGET, os.path.basename(url)): url for model in ENV["PREPARE_MODELS"].split() for url in urls_of(model)}
lengths = {path: length_of(url) for path, url in files.items()}
total = sum(lengths.values())
last = 0.0


def progress(path, force=False):
    global last
    if force or time.monotonic() - last >= 1:
        last = time.monotonic()
        have = sum(min(size(each) or size(each + ".part"), length) for each, length in lengths.items())
        report = {"step": 5, "steps": int(ENV["pj_steps"]), "name": "weights", "file": os.path.basename(path), "bytes": have, "totalBytes": total}
        new = os.path.join(ENV["pj_dir"], "progress.new")
        with open(new, "w") as file:
            json.dump(report, file)
        os.replace(new, os.path.join(ENV["pj_dir"], "progress"))


missing = total - sum(min(size(path) or size(path + ".part"), length) for path, length in lengths.items())
print(f"weights: {len(files)} files, {total / GB:.1f} GB, {missing / GB:.1f} GB of them missing", flush=True)
used = int(subprocess.run(["du", "-sk", ENV["prepare_root"]], stdout=subprocess.PIPE, check=False).stdout.split()[0]) * 1024
room = float(ENV["PREPARE_SIZE_GB"]) * GB - used
if missing > room:
    wanted = int((used + missing) / GB * 1.1) + 1
    fail(f"{missing / GB:.1f} GB are missing, and {room / GB:.1f} GB are free: gpu-pool volume prepare --size-gb {wanted}")


def fetch(path, url, length):
    part = path + ".part"

    def go_on():
        have = size(part)
        if have > length:
            os.remove(part)
            have = 0
        if have == length:
            return
        headers = {"Range": f"bytes={have}-"} if have > 0 else {}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as reply:
            # A server that ignores the range sends all of it again.
            with open(part, "ab" if reply.status == 206 else "wb") as file:
                while data := reply.read(CHUNK):
                    file.write(data)
                    progress(path)
                file.flush()
                os.fsync(file.fileno())
        if size(part) < length:
            raise OSError(f"the server sent {size(part)} of {length} bytes")
        if size(part) > length:
            os.remove(part)
            raise OSError("the server sent more than the size that it names")

    patiently(f"fetching {url}", go_on)
    os.replace(part, path)


os.makedirs(TARGET, exist_ok=True)
for path, url in files.items():
    if size(path) != lengths[path]:
        manifest = os.path.join(ENV["prepare_state"], "manifest.json")
        if os.path.exists(manifest):
            os.remove(manifest)
        if os.path.exists(path):
            os.remove(path)
        print(f"weights: {os.path.basename(path)}, {lengths[path] / GB:.2f} GB", flush=True)
        progress(path, force=True)
        fetch(path, url, lengths[path])
progress("", force=True)
PYTHON

pj_step 6 "Wan2GP itself: what its models need besides"
cd "$prepare_home/Wan2GP" || pj_fail "$prepare_home/Wan2GP does not exist in this commit"
"$prepare_python" - <<'PYTHON' 2> "$pj_dir/problem" || { tail -n 20 "$pj_dir/problem"; pj_fail "Wan2GP: $(tail -n 1 "$pj_dir/problem")"; }
import os, sys

os.environ.setdefault("MPLBACKEND", "Agg")
sys.argv = ["wgp.py"]
sys.path.insert(0, os.getcwd())
import wgp

chosen = (wgp.transformer_quantization, wgp.transformer_dtype_policy)
for model in os.environ["PREPARE_MODELS"].split():
    for number in (1, 2):
        name = wgp.get_model_filename(model, *chosen, submodel_no=number)
        if name:
            wgp.download_models(name, model, False, number)
    for module in wgp.get_model_recursive_prop(model, "modules", return_list=True):
        if isinstance(module, dict):
            names = [wgp.get_model_filename(model, *chosen, URLs=module[key]) for key in ("URLs", "URLs2") if key in module]
        else:
            names = [wgp.get_model_filename(model, *chosen, module_type=module)]
        for number, name in enumerate(names, 1):
            wgp.download_models(name, model, True, number)
PYTHON

pj_step 7 manifest
"$prepare_python" - <<'PYTHON' 2> "$pj_dir/problem" || pj_fail "manifest: $(tail -n 1 "$pj_dir/problem")"
import json, os, sys, time

ENV = os.environ
CODE = os.path.join(ENV["prepare_home"], "Wan2GP")
SHOWN = 200
files = []
for top in sorted(os.listdir(CODE)):
    if top == "ckpts" or top.startswith("loras"):
        for folder, _, names in os.walk(os.path.join(CODE, top)):
            for name in sorted(names):
                if name.endswith((".part", ".incomplete")):
                    sys.exit(f"{name} in {folder} is incomplete")
                path = os.path.join(folder, name)
                files.append({"path": os.path.relpath(path, CODE), "bytes": os.path.getsize(path)})
manifest = {
    "image": ENV["PREPARE_IMAGE"],
    "repository": ENV["PREPARE_REPOSITORY"],
    "commit": ENV["PREPARE_COMMIT"],
    "folder": ENV["HEADLESS_WAN2GP_FOLDER"],
    "venv": ENV["HEADLESS_WAN2GP_VENV"],
    "models": ENV["PREPARE_MODELS"].split(),
    "torch": ENV["PREPARE_TORCH"],
    "python": sys.version.split()[0],
    "bytes": sum(file["bytes"] for file in files),
    "fileCount": len(files),
    # The largest: hundreds of small ones belong to tokenizers.
    "files": sorted(files, key=lambda file: -file["bytes"])[:SHOWN],
    "preparedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
}
path = os.path.join(ENV["prepare_state"], "manifest.json")
with open(path + ".new", "w") as file:
    json.dump(manifest, file)
    file.flush()
    os.fsync(file.fileno())
os.replace(path + ".new", path)
with open(os.path.join(ENV["pj_dir"], "end"), "w") as file:
    json.dump({"manifest": manifest}, file)
PYTHON
pj_end done "$pj_dir/end"
