#!/usr/bin/env bash
# Everything on a real kind cluster, from nothing to nothing: needs Docker, kind, kubectl and a
# network. tests/ rehearse the same without a cluster; .github/workflows/kind.yml runs this.
#
#   KEEP=1 tests/live/kind.sh     leaves the cluster as it is at the end
set -euo pipefail
cd "$(dirname "$0")/../.."

python=.venv/bin/python
out=$(mktemp -d)

stage() { printf '\n== %s\n' "$*"; }
trefoil() { "$python" -m pipelines "$@"; }
# expect FILE EXPRESSION: the JSON document in FILE, as `it`, is as it should be
expect() {
    "$python" - "$@" <<'PYTHON'
import json, sys
it = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), f"not so: {sys.argv[2]}\n{json.dumps(it, indent=2)}"
PYTHON
}

finish() {
    code=$?
    if ((code)); then
        stage "failed: what the cluster says"
        trefoil cluster status || true
        kubectl --context kind-trefoil -n kubeflow get pods -o wide || true
        kubectl --context kind-trefoil -n kubeflow get events --sort-by=.lastTimestamp | tail -40 || true
    fi
    if [[ -z ${KEEP:-} ]]; then
        stage "down"
        trefoil cluster down --yes || code=1
        trefoil cluster down --yes || code=1 # a second time there is nothing to do
    fi
    rm -rf "$out"
    exit "$code"
}
trap finish EXIT

stage "images"
trefoil image build

stage "up"
trefoil cluster up --timeout 30
trefoil cluster status

stage "up again: changes nothing"
trefoil cluster up --json >"$out/up.json"
expect "$out/up.json" 'it["changes"] == []'
trefoil cluster status --json >"$out/status.json"
expect "$out/status.json" 'it["ready"] and it["pipelines"] == "2.17.0" and len(it["images"]) == 2'

stage "MLflow answers its own names and no others"
curl -fsS -o /dev/null http://127.0.0.1:5000/health
test "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' http://127.0.0.1:5000/)" = 403

stage "the pipeline"
trefoil run --provider kind --param steps=300
trefoil status --provider kind
trefoil list --provider kind --json >"$out/runs.json"
expect "$out/runs.json" 'len(it) == 1'

stage "the endpoint answers"
trefoil endpoints --provider kind --json >"$out/endpoints.json"
expect "$out/endpoints.json" 'len(it) == 1 and it[0]["url"].startswith("http")'
url=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["url"])' "$out/endpoints.json")
curl -fsS "$url/sample" -d '{"n": 4, "seed": 1}' -H 'Accept: image/png' -o "$out/digits.png"
test -s "$out/digits.png"

stage "a second version, and back to the first"
trefoil run --provider kind --param steps=600 --param 'gate={"champion": false}'
trefoil rollback --provider kind
curl -fsS "$url/sample" -d '{"n": 4, "seed": 1}' -H 'Accept: image/png' -o "$out/again.png"
cmp "$out/digits.png" "$out/again.png"

stage "all is well"
