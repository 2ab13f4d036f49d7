#!/usr/bin/env bash
# A worker with curl and jq: for each task of HANDLER it runs COMMAND with the payload (JSON) on its stdin.
#
#     TASKQUEUE_URL=http://127.0.0.1:8080 examples/workers/worker.sh HANDLER COMMAND [ARGUMENT...]
#
# What the command prints is the result (as JSON where it is JSON, else as a text); where it fails, the task fails with
# what it said on stderr. While it runs the worker renews; where the node says that the run is over (409) the command is
# ended. On SIGTERM it gives back what it has. TASKQUEUE_TOKEN is sent where it is set; LEASE is in seconds.
set -uo pipefail
shopt -s lastpipe
(($# >= 2)) || { sed -n '2,4s/^# \?//p' "$0" >&2; exit 2; }
url=${TASKQUEUE_URL:-http://127.0.0.1:8080} lease=${LEASE:-30} handler=$1
shift
folder=$(mktemp -d)
# A part in the background that is ended before it has dropped the traps would carry them out, too: they are this shell's.
trap '[[ $BASHPID != "$$" ]] || rm -rf "$folder"' EXIT
curl=(curl -s --max-time 40 -w '%{http_code}' --data-binary @- -H 'Content-Type: application/json')
[[ -z ${TASKQUEUE_TOKEN:-} ]] || curl+=(-H "Authorization: Bearer $TASKQUEUE_TOKEN")
request='' asking='' job='' renewing='' status=''

# post PATH FILE: sends the body on stdin; $status, and the answer in FILE. 000 where none came, or not all of it.
post() { status=$("${curl[@]}" -o "$2" "$url$1") || status=000; }

# The same in the background, so that a signal does not have to wait for the answer.
post_and_wait() {
  "${curl[@]}" -o "$2" "$url$1" <&0 >"$2.status" &
  asking=$!
  if wait "$asking"; then status=$(<"$2.status"); else status=000; fi
  asking=''
}

# insist HOW PATH FILE: one of the two, until there is an answer that says yes or no.
insist() {
  cat >"$3.body"
  while "$1" "$2" "$3" <"$3.body"; [[ $status == 000 || $status == 429 || $status == 50[234] ]]; do
    echo "no answer ($status), trying again"
    sleep 1
  done
}

renew() {
  local every pause
  every=$(jq -n "$lease / 3") pause=$every
  curl+=(--max-time "$every") # so that there is time for another try
  while sleep "$pause" && [[ -e $folder/run.$token ]]; do
    post "/api/leases/$token/renew" "$folder/renewed" <<<'{}'
    if [[ $status == 200 ]]; then pause=$every; else pause=$(jq -n "[$every, 1] | min"); fi
    if [[ $status == 409 ]]; then
      mv "$folder/run.$token" "$folder/lost" 2>/dev/null && kill "$job" # unless the run has ended just now
      return
    fi
  done
}

# wish WAIT: the body of the claim
wish() {
  jq -n --arg handler "$handler" --arg request "$request" --argjson lease "$lease" --arg wait "$1" \
    '{handlers: [$handler], wait: $wait, lease: $lease, requestId: $request}'
}

# send_failure TYPE: the run has failed, with what is in the file `err`
send_failure() {
  ended=fail
  jq -Rs --arg type "$1" '{error: {type: $type, message: .}}' "$folder/err" |
    insist post "/api/leases/$token/fail" "$folder/said"
}

finish() {
  [[ $BASHPID == "$$" ]] || exit 0
  trap '' TERM INT
  kill $asking $job $renewing 2>/dev/null
  if [[ -n $request ]]; then # asking once more is how to know what there is: the claim's answer may not have come
    wish 0s | post /api/leases "$folder/claimed"
    for token in $(jq -r '.tasks[]?.token' "$folder/claimed"); do
      post "/api/leases/$token/release" "$folder/said" <<<'{}'
      echo "given back ($status)"
    done
  fi
  echo stopped
  exit 0
}
trap finish TERM INT

echo ready
while true; do
  request=$(tr -d - </proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)
  wish 20s | insist post_and_wait /api/leases "$folder/claimed"
  [[ $status != 409 ]] || continue # the claim's answer was lost, and its lease has ended before another came
  if [[ $status != 200 ]]; then
    echo "$status: $(jq -r .detail "$folder/claimed")" >&2
    exit 1
  fi
  token=$(jq -r '.tasks[0].token // empty' "$folder/claimed")
  [[ -n $token ]] || continue
  rm -f "$folder/lost"
  touch "$folder/run.$token"
  jq .tasks[0].task.payload "$folder/claimed" >"$folder/payload"
  "$@" <"$folder/payload" >"$folder/out" 2>"$folder/err" &
  job=$!
  renew >/dev/null 2>&1 &
  renewing=$!
  wait "$job"
  code=$? job=''
  rm -f "$folder/run.$token"
  kill "$renewing" 2>/dev/null
  if [[ -e $folder/lost ]]; then
    ended='not wanted any more' status=409
  elif ((code == 0)); then
    ended=complete
    jq -c '{result: .}' "$folder/out" >"$folder/body" 2>/dev/null && (($(wc -l <"$folder/body") == 1)) ||
      jq -Rs '{result: .}' "$folder/out" >"$folder/body"
    insist post "/api/leases/$token/complete" "$folder/said" <"$folder/body"
    if [[ $status != 200 && $status != 409 ]]; then # it cannot be kept, such as one that is too large
      jq -r .detail "$folder/said" | tr -d '\n' >"$folder/err"
      send_failure BadResult
    fi
  else
    send_failure "exit $code"
  fi
  echo "$(jq -r .tasks[0].task.id "$folder/claimed"): $ended ($status)"
done
