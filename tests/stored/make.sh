#!/usr/bin/env bash
# Creates version-N.sqlite.sql and version-N.postgres.sql: dumps of databases that the program of
# schema version N has filled. The tests upgrade these databases. Before you change the schema, run
# this script with the present version and a program that has this version:
#
#     tests/stored/make.sh VERSION target/debug/greenroom
#
# The script needs curl, sqlite3 and PostgreSQL's server binaries. Run it as a user other than root,
# because PostgreSQL refuses root.
set -euo pipefail

version=$1
program=$(realpath "$2")
stored=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
postgres=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)

clean_up() {
    kill "${server:-}" 2>/dev/null || true
    "$postgres/pg_ctl" stop -s -D "$work/data" -m immediate 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

# Starts the program on a database, fills it over HTTP, and stops it.
fill() {
    local folder=$1 database=$2
    mkdir -p "$folder"
    (cd "$folder" && exec "$program" serve --database "$database" --listen 127.0.0.1:0 \
        --responder none) >"$folder/out" 2>"$folder/err" &
    server=$!
    until grep -q '^listening on ' "$folder/out"; do
        kill -0 "$server" 2>/dev/null || { cat "$folder/err" >&2; exit 1; }
        sleep 0.1
    done
    local address password token
    address=$(sed -n 's/^listening on //p' "$folder/out")
    password=$(sed -n 's/^.*password.*: //p' "$folder/out" | head -1)
    token=$(curl -sf "$address/auth/login" -H 'content-type: application/json' \
        -d "{\"password\":\"$password\"}" | sed 's/.*"api_key":"\([^"]*\)".*/\1/')
    call() { curl -sf -X "$1" "$address$2" -H "x-api-key: $token" \
        -H 'content-type: application/json' ${3:+-d "$3"} >/dev/null; }
    call POST /rooms '{"name":"tea"}'
    call POST /rooms '{"name":"찻집","max_interactions":7}'
    call POST /rooms/1/agents/1
    call POST /rooms/1/agents/2
    call POST /rooms/2/agents/2
    for number in 1 2 3 4 5; do
        call POST /rooms/1/messages/send "{\"content\":\"message $number 하늘\",\"role\":\"user\"}"
    done
    # A picture of one pixel.
    local png=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9
    png+=awAAAABJRU5ErkJggg==
    local image="\"image_data\":\"$png\",\"image_media_type\":\"image/png\""
    call POST /rooms/2/messages/send "{\"content\":\"with a picture\",\"role\":\"user\",$image}"
    call POST /rooms/1/mark-read
    call DELETE /agents/3
    kill "$server"
    wait "$server" || true
}

# Turns three messages into agents' answers. From version 2 on, a table counts the answers.
answers="UPDATE messages SET agent_id = 1, role = 'assistant' WHERE id IN (2, 4);
    UPDATE messages SET agent_id = 2, role = 'assistant' WHERE id = 5;"
if [ "$version" -ge 2 ]; then
    answers+="INSERT INTO answer_counts (room_id, agent_id, answers)
        SELECT room_id, agent_id, count(*) FROM messages WHERE agent_id IS NOT NULL
        GROUP BY room_id, agent_id;"
fi

fill "$work/sqlite" "sqlite:$work/sqlite/greenroom.db"
sqlite3 "$work/sqlite/greenroom.db" "$answers"
sqlite3 "$work/sqlite/greenroom.db" .dump >"$stored/version-$version.sqlite.sql"

"$postgres/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
port=$((20000 + RANDOM % 20000))
"$postgres/pg_ctl" start -w -s -D "$work/data" -l "$work/log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$work'"
"$postgres/createdb" -h 127.0.0.1 -p "$port" -U postgres greenroom
fill "$work/postgres" "postgres://postgres@127.0.0.1:$port/greenroom"
"$postgres/psql" -q -h 127.0.0.1 -p "$port" -U postgres greenroom -c "$answers"
# Leaves out comments and settings of the session. The tests run the other lines as one script.
"$postgres/pg_dump" -h 127.0.0.1 -p "$port" -U postgres \
    --inserts --no-owner --no-privileges greenroom |
    grep -Ev '^(--|SET |SELECT pg_catalog.set_config|\\|$)' >"$stored/version-$version.postgres.sql"
