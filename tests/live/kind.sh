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

# samples FILE: what the endpoint draws; its address is one of the cluster's network
samples() {
    kubectl --context kind-trefoil -n kubeflow port-forward service/digits-vae 8931:80 >/dev/null &
    local forward=$!
    curl -fsS --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:8931/sample \
        -d '{"n": 4, "seed": 1}' -H 'Accept: image/png' -o "$1"
    kill "$forward"
    wait "$forward" || true
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
expect "$out/endpoints.json" 'len(it) == 1 and it[0]["url"] == "http://digits-vae.kubeflow"'
samples "$out/digits.png"
test -s "$out/digits.png"

stage "a second version as a canary, then alone, and back to the first"
trefoil run --provider kind --param steps=600 --param 'gate={"champion": false}' --param canary=20
trefoil endpoints --provider kind --json >"$out/canary.json"
expect "$out/canary.json" 'it[0]["state"] == "canary" and it[0]["version"] == "1, canary 2"'
trefoil promote 2 --provider kind
trefoil deploy --provider kind
trefoil endpoints --provider kind --json >"$out/second.json"
expect "$out/second.json" 'it[0]["state"] == "serving" and it[0]["version"] == "2"'
trefoil rollback --provider kind
samples "$out/again.png"
cmp "$out/digits.png" "$out/again.png"

stage "one model on two nodes"
trefoil run --provider kind --param steps=300 --step train --nodes 2
trefoil logs --provider kind --step train >"$out/train.log"
grep "shared by 2 processes on 2 nodes" "$out/train.log"
test -z "$(kubectl --context kind-trefoil -n kubeflow get jobs -l trefoil.dev/job -o name)"

stage "all is well"
