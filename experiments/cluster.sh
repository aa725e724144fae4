#!/usr/bin/env bash
# A whole cluster on this machine: PostgreSQL, a Dask scheduler with workers, and an MLflow server.
#
#   experiments/cluster.sh FOLDER                  until Ctrl-C; prints what to set elsewhere
#   experiments/cluster.sh FOLDER COMMAND ...      as long as the command takes, with all of it set
#
#   experiments/cluster.sh my-cluster recrepro run experiments/quickstart.toml --executor dask
#
# FOLDER keeps the database, the workspace, logs and MLflow's artifacts; the same one goes on later.
# Set WORKERS (default: one a core), SCHEDULER_PORT (8786), MLFLOW_PORT (5000), PYTHON (python3).
# Everything listens on 127.0.0.1 only; other users of a shared machine can reach that, too.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1/logs"
folder=$(cd "$1" && pwd)
shift
python=${PYTHON:-python3}
scheduler=tcp://127.0.0.1:${SCHEDULER_PORT:-8786}
mlflow=http://127.0.0.1:${MLFLOW_PORT:-5000}
initdb=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1) ||
    { echo "No PostgreSQL here: apt install postgresql" >&2; exit 3; }
bin=$(dirname "$(readlink -f "$initdb")") # beside its link, there may be no others

socket=$(mktemp -d) # a socket's path must be short, and only we may enter its folder
as=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    as=("$(PATH=$PATH:/usr/sbin:/sbin command -v runuser)" -u postgres --)
    install -d -m 700 -o postgres "$folder/postgres"
    chown postgres "$socket"
fi

started=()
finish() {
    trap - EXIT INT TERM
    # Each in a group of its own, the last one first: all but the database may be in its use.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        kill -INT -- "-${started[i]}" 2>/dev/null || true
        wait "${started[i]}" 2>/dev/null || true
    done
    rm -rf "$socket"
}
trap finish EXIT
trap 'exit 130' INT TERM

start() { # NAME COMMAND ...: in the background, with a log
    local name=$1
    shift
    setsid "$@" >"$folder/logs/$name.log" 2>&1 &
    started+=($!)
}

until_ready() { # NAME COMMAND ...: until the command succeeds, or what was started last has ended
    local name=$1
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "${started[-1]}" 2>/dev/null ||
            { echo "$name did not start; see $folder/logs/$name.log" >&2; exit 3; }
        sleep 0.2
    done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/${1##*:}"); }

cd / # where user postgres may be, too
[ -e "$folder/postgres/PG_VERSION" ] ||
    "${as[@]}" "$initdb" -D "$folder/postgres" -U recrepro -E UTF8 --locale=C --auth=trust \
        >"$folder/logs/initdb.log"
start postgres "${as[@]}" "$bin/postgres" -D "$folder/postgres" -k "$socket" -c listen_addresses=
until_ready postgres "$bin/pg_isready" -h "$socket" -U recrepro -d postgres
for database in ledger mlflow; do
    "$bin/psql" -h "$socket" -U recrepro -d postgres -qAtc \
        "SELECT 1 FROM pg_database WHERE datname = '$database'" | grep -q 1 ||
        "$bin/createdb" -h "$socket" -U recrepro "$database"
done
address="postgresql+psycopg://recrepro@/DATABASE?host=$socket"

start mlflow env MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "$python" -m mlflow server \
    --host 127.0.0.1 --port "${mlflow##*:}" --workers 1 \
    --backend-store-uri "${address/DATABASE/mlflow}" \
    --artifacts-destination "file://$folder/mlflow-artifacts"
until_ready mlflow listens "$mlflow"
start scheduler "$python" -P -m dask scheduler --host 127.0.0.1 --port "${scheduler##*:}" \
    --no-dashboard
until_ready scheduler listens "$scheduler"
start workers "$python" -P -m dask worker "$scheduler" --nworkers "${WORKERS:-$(nproc)}" \
    --nthreads 1 --local-directory "$folder/workers" --no-dashboard

export RECREPRO_WORKSPACE="$folder/runs" RECREPRO_LEDGER="${address/DATABASE/ledger}"
export RECREPRO_SCHEDULER="$scheduler" MLFLOW_TRACKING_URI="$mlflow"
cd - >/dev/null
if [ $# -gt 0 ]; then
    code=0
    "$@" || code=$?
    exit "$code"
fi
echo "Ready; Ctrl-C ends it all. In another terminal:"
for name in RECREPRO_WORKSPACE RECREPRO_LEDGER RECREPRO_SCHEDULER MLFLOW_TRACKING_URI; do
    echo "  export $name='${!name}'"
done
echo "  recrepro run experiments/quickstart.toml --executor dask"
wait
