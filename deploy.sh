#!/usr/bin/env bash
# Brings Loumen onto a box, updates it, brings it back; here, or over ssh.
#
#   sudo ./deploy.sh install --config gateway.toml      a bare Debian becomes a box
#   sudo ./deploy.sh update                             this checkout's release beside the old one, then the switch
#   sudo ./deploy.sh rollback                           the release before
#        ./deploy.sh status                             which release runs, and how it is; exit 1 where it is not well
#
#   --host USER@BOX     do it there, over ssh, as root or by a sudo that asks for no password
#   --config FILE       becomes /etc/loumen/gateway.toml; checked by the new release before anything is stopped
#   --wheels DIR        install from these wheels, without internet (`make wheels` fills DIR)
#   --health SECONDS    how long the new release is watched before it counts (LOUMEN_HEALTH_SECONDS, else 60)
#   --replace-units     overwrite units that were edited by hand (a copy is kept beside them)
#   --dry-run           look, check, say what would be done; change nothing
#
# Releases stand side by side in /opt/loumen/releases/VERSION-HASH, `current` and `previous` point to them. Everything is
# prepared before the daemon is stopped; from its end to the new one's READY no output is without an owner for more
# than 3 seconds (measured and said each time; the line rests meanwhile). A release that dies, or has a serious problem
# that the one before had not, is taken back by itself. The journal and the directory are never rolled back: each
# release opens what the next one wrote. What people and cards were changed in between stays changed.
#
# A switch that a power cut interrupted is ended at the next boot (loumen-switch.service): the new release is watched as
# here, and taken back if it is not well.
#
# exit 0 done   1 not done, the text says why and what runs now   2 wrong usage   5 the connection was lost
set -euo pipefail
export LC_ALL=C
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BASE=/opt/loumen
CONFIG=/etc/loumen/gateway.toml
CREDENTIAL=/etc/credstore/loumen-box-key
STATE=/var/lib/loumen
RECORD=$BASE/installed.sha256
LONGEST=3000 # milliseconds without an owner of the outputs
FIRST_KB=900000 # what the first release takes, with what pip needs meanwhile
SHARED_KB=60000 # one with the same packages: it shares their files
# What a release is made of, and where its files of the system go.
SOURCES=(gateway drivers systemd requirements models profiles docs/install.md docs/install.zh.md docs/wiring README.md
    pyproject.toml deploy.sh)
PLACES=(
    "loumen.service /etc/systemd/system/loumen.service"
    "loumen-switch.service /etc/systemd/system/loumen-switch.service"
    "loumen-disk.service /etc/systemd/system/loumen-disk.service"
    "loumen-vision@.service /etc/systemd/system/loumen-vision@.service"
    "loumen-vision@.path /etc/systemd/system/loumen-vision@.path"
    "sysusers.conf /etc/sysusers.d/loumen.conf"
    "tmpfiles.conf /etc/tmpfiles.d/loumen.conf"
    "modules-load.conf /etc/modules-load.d/loumen.conf"
    "udev.rules /etc/udev/rules.d/70-loumen.rules"
)

config_replaced=''
verb='' host='' given_config='' wheels='' dry='' replace='' health=${LOUMEN_HEALTH_SECONDS:-60}

say() { printf '%s\n' "$*"; }
fail() { # what, mend
    printf 'deploy: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  mend: %s\n' "$2" >&2
    exit 1
}
usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit "$1"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        install | update | rollback | status | mend) [ -z "$verb" ] || usage 2 >&2; verb=$1 ;;
        --host | --config | --wheels | --health)
            [ $# -ge 2 ] || { printf 'deploy: %s needs a value\n' "$1" >&2; exit 2; }
            case $1 in --host) host=$2 ;; --config) given_config=$2 ;; --wheels) wheels=$2 ;; *) health=$2 ;; esac
            shift
            ;;
        --dry-run) dry=yes ;;
        --replace-units) replace=yes ;;
        -h | --help) usage 0 ;;
        *) printf 'deploy: what is %s? --help tells\n' "$1" >&2; exit 2 ;;
        esac
        shift
    done
    [ -n "$verb" ] || usage 2 >&2
    [[ $health =~ ^[0-9]+$ ]] || { printf 'deploy: --health %s is no number of seconds\n' "$health" >&2; exit 2; }
    [ -z "$given_config" ] || [ -r "$given_config" ] || fail "there is no file $given_config"
    [ -z "$wheels" ] || [ -d "$wheels" ] || fail "there is no folder $wheels" "make wheels WHEELS=$wheels"
}

# --- what is here

booted() { [ -d /run/systemd/system ]; }
running() { booted && systemctl is-active --quiet loumen.service; }
release_of() { # current, previous; empty where there is none
    if [ -d "$BASE/$1/" ]; then basename "$(readlink "$BASE/$1")"; fi
}
sources() { (cd "$HERE" && { find "${SOURCES[@]}" -type f ! -path '*/__pycache__/*' ! -name '*.pyc' 2>/dev/null || true; } | sort); }
release_id() {
    local version hash
    version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$HERE/gateway/__init__.py")
    hash=$(cd "$HERE" && sources | xargs -d '\n' sha256sum | sha256sum | cut -c1-10)
    printf '%s-%s\n' "$version" "$hash"
}
free_kb() { # of the nearest folder that exists
    local at=$1
    while [ ! -d "$at" ]; do at=$(dirname "$at"); done
    df -Pk "$at" | awk 'NR == 2 { print $4 }'
}
packages_key() { # what the installed packages depend on
    (cd "$HERE/requirements" && cat runtime.txt no-deps.txt build.txt && python3 -VV) | sha256sum | cut -d' ' -f1
}
same_packages() { [ "$(cat "$BASE/current/share/loumen/packages.key" 2>/dev/null)" = "$(packages_key)" ]; }
needed_kb() {
    if same_packages; then
        echo "$SHARED_KB"
    elif [ -n "$(release_of current)" ]; then
        du -sk "$BASE/current/" | awk '{ print int($1 * 1.15) }'
    else
        echo "$FIRST_KB"
    fi
}

need_root() { [ "$(id -u)" = 0 ] || fail "this needs root" "sudo $0 $verb ..."; }
need_python() {
    command -v python3 >/dev/null || fail "there is no python3" "apt-get install python3 python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old: 3.11 or newer" "Debian 12, Raspberry Pi OS bookworm or newer"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make a virtual environment here" "apt-get install python3-venv"
}
need_room() {
    local need free
    need=$(needed_kb) free=$(free_kb "$BASE/releases")
    [ "$free" -ge "$need" ] ||
        fail "no room for another release: it needs about $((need / 1024)) MB in $BASE, $((free / 1024)) MB are free; $(runs)" \
            "make room: journalctl --vacuum-size=50M, apt-get clean, or a larger card"
}
runs() {
    local current
    current=$(release_of current)
    if [ -n "$current" ]; then echo "$current stays in use"; else echo "nothing was changed"; fi
}
take_lock() {
    mkdir -p "$BASE"
    exec 9>>"$BASE/deploy.lock"
    flock -n 9 || fail "another deployment is under way here (process $(cat "$BASE/deploy.pid" 2>/dev/null || echo '?'))" \
        "wait for its end: $0 status"
    echo $$ >"$BASE/deploy.pid"
}

# --- a release is made whole, or not at all

prepare() {
    local id=$1 at=$BASE/releases/$1
    if [ -e "$at/.whole" ]; then
        say "release $id is prepared already"
        return
    fi
    need_python
    rm -rf "$at"
    need_room
    say "preparing release $id"
    mkdir -p "$at"
    (build "$at") >"$BASE/prepare.log" 2>&1 & # not in an `if`: there the first failure would not stop it
    if ! wait $!; then
        tail -n 12 "$BASE/prepare.log" >&2
        rm -rf "$at"
        if grep -qiE 'no space left|disk quota' "$BASE/prepare.log"; then
            fail "no room: the disk was full before the release was whole; $(runs)" "make room in $BASE"
        elif grep -qE 'THESE PACKAGES DO NOT MATCH THE HASHES' "$BASE/prepare.log"; then
            fail "a wheel is not the one that requirements/*.txt name; $(runs)" "make wheels again, in an empty folder"
        elif grep -qE 'No matching distribution|Could not find a version' "$BASE/prepare.log"; then
            fail "a package is missing; $(runs)" "give the box internet, or all wheels for its Python and processor: make wheels"
        fi
        fail "the release could not be made; $(runs)" "the whole text: $BASE/prepare.log"
    fi
}

build() {
    local at=$1 source list=()
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 TMPDIR=$at/tmp
    mkdir -p "$TMPDIR"
    if [ -n "$wheels" ]; then list=(--no-index --find-links "$wheels"); unset PIP_FIND_LINKS; fi
    pip() { "$at/bin/python" -m pip install --quiet "${list[@]}" "$@"; }
    if same_packages; then
        # The same packages by the same hashes: their files are shared. pip replaces ours by new files, never in place.
        cp -al "$BASE/current/lib" "$at/lib"
        mkdir -p "$at/share/loumen"
        cp -al "$BASE/current/share/loumen/models" "$at/share/loumen/models"
        python3 -m venv --without-pip "$at"
    else
        python3 -m venv "$at"
        pip --only-binary :all: --require-hashes -r "$HERE/requirements/runtime.txt"
        pip --only-binary :all: --require-hashes --no-deps --ignore-requires-python -r "$HERE/requirements/no-deps.txt"
    fi
    pip --only-binary :all: --require-hashes -r "$HERE/requirements/build.txt"
    source=$TMPDIR/source
    mkdir "$source"
    sources | (cd "$HERE" && tar -cf - -T -) | tar -xf - -C "$source"
    pip --no-deps --no-build-isolation "$source"
    "$at/bin/python" -m pip uninstall --quiet --yes setuptools
    "$at/bin/python" -m gateway.vision.models prepare
    "$at/bin/python" -m gateway.vision.models verify
    mkdir -p "$at/share/loumen"
    cp -R "$HERE/systemd" "$at/share/loumen/systemd"
    cp "$HERE/deploy.sh" "$at/share/loumen/deploy.sh"
    for page in docs/install.md docs/install.zh.md docs/wiring; do
        if [ -e "$HERE/$page" ]; then mkdir -p "$at/docs"; cp -R "$HERE/$page" "$at/docs/"; fi
    done
    packages_key >"$at/share/loumen/packages.key"
    "$at/bin/loumen" --help >/dev/null
    rm -rf "$TMPDIR"
    sync -f "$at"
    touch "$at/.whole"
}

# --- configuration, key, users, units

check_config() { # release, file
    local words=()
    booted || words=(--no-machine)
    if ! "$BASE/releases/$1/bin/loumen" config check "${words[@]}" "$2" >"$BASE/check.log" 2>&1; then
        cat "$BASE/check.log" >&2
        return 1
    fi
}
put_config() { # release
    [ -n "$given_config" ] || return 0
    if [ -e "$CONFIG" ]; then
        ! cmp -s "$given_config" "$CONFIG" || return 0
        cp -p "$CONFIG" "$CONFIG.before"
        config_replaced=yes
        begun "$1"
        say "the configuration before is kept: $CONFIG.before"
    fi
    mkdir -p "$(dirname "$CONFIG")"
    placed 640 "$given_config" "$CONFIG"
}
placed() { # mode, file, its place: there whole or not at all, whenever the power goes
    install -m "$1" "$2" "$3.new"
    sync "$3.new"
    mv "$3.new" "$3"
}
make_key() {
    [ ! -e "$CREDENTIAL" ] || return 0
    [ -d "$(dirname "$CREDENTIAL")" ] || mkdir -m 700 "$(dirname "$CREDENTIAL")"
    if [ -s "$STATE/keys/box.key" ]; then
        install -m 600 "$STATE/keys/box.key" "$CREDENTIAL.new"
    elif [ -s "$STATE/keys/keys.db" ]; then
        say "WARNING: the box key is gone, and names and faces are encrypted with it: put it back as $CREDENTIAL"
        return 0
    else
        (umask 077 && head -c 32 /dev/urandom >"$CREDENTIAL.new")
    fi
    sync "$CREDENTIAL.new"
    mv "$CREDENTIAL.new" "$CREDENTIAL"
    say "the box key: $CREDENTIAL. Keep a copy off the box: without it no backup can be read"
}
edited() { # units that are not as the last deployment left them
    local entry to known
    for entry in "${PLACES[@]}"; do
        to=${entry#* }
        [ -e "$to" ] || continue
        known=$(awk -v path="$to" '$2 == path { print $1 }' "$RECORD" 2>/dev/null || true)
        if [ "$(sha256sum <"$to" | cut -d' ' -f1)" != "$known" ] && ! cmp -s "$to" "$1/${entry%% *}"; then echo "$to"; fi
    done
}
check_units() {
    local changed
    changed=$(edited "$1")
    [ -z "$changed" ] || [ -n "$replace" ] ||
        fail "edited by hand: $(echo "$changed" | tr '\n' ' '); nothing was changed" \
            "put your changes into 'systemctl edit loumen' (a drop-in stays), then add --replace-units"
}
put_units() {
    local from=$1 entry to
    for to in $(edited "$from"); do cp -p "$to" "$to.edited"; say "kept: $to.edited"; done
    : >"$RECORD.new"
    for entry in "${PLACES[@]}"; do
        to=${entry#* }
        mkdir -p "$(dirname "$to")"
        [ -e "$from/${entry%% *}" ] || { rm -f "$to"; continue; } # a release from before that file
        placed 644 "$from/${entry%% *}" "$to"
        sha256sum "$to" >>"$RECORD.new"
    done
    mv "$RECORD.new" "$RECORD"
    mkdir -p /usr/local/bin
    ln -sfn "$BASE/current/bin/loumen" /usr/local/bin/loumen
    systemd-sysusers /etc/sysusers.d/loumen.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/loumen.conf
    chown -h loumen:loumen "$CONFIG" # it holds camera passwords, and `config apply` is taken back by the daemon
    if booted; then
        systemctl daemon-reload
        if command -v udevadm >/dev/null; then
            udevadm control --reload || true
            udevadm trigger --subsystem-match=gpio --subsystem-match=tty --subsystem-match=video4linux --settle || true
        fi
    fi
}
enable_units() { # a release from before the last two has none
    local unit
    for unit in loumen loumen-switch loumen-disk; do
        [ ! -e "/etc/systemd/system/$unit.service" ] || systemctl --quiet enable "$unit.service"
    done
    # Not waited for: the disk's options are no matter of the door's.
    ! booted || systemctl --no-block restart loumen-disk.service 2>/dev/null || true
}
point() { # name, release: in one step
    ln -sfn "releases/$2" "$BASE/.$1.new"
    mv -T "$BASE/.$1.new" "$BASE/$1"
}

# --- the switch

property() { systemctl show --value -p "$1" loumen.service; }
last_words() { # of the daemon: not of systemd, not of safe-state, no news
    journalctl -t loumen -n 40 -o cat --no-pager 2>/dev/null | grep -vE '^(resting|INFO|WARNING| )' | tail -n 3 | tr '\n' ' ' || true
}
serious() { # the parts that `loumen status` calls bad, a line each; fails where the daemon does not answer
    { "$BASE/current/bin/loumen" status --json 2>/dev/null || true; } | "$BASE/current/bin/python" -c '
import json, sys
try:
    status = json.load(sys.stdin)
    bad = [p for p in status["problems"] if p.get("severity", "bad") == "bad"]
except (ValueError, KeyError, TypeError):
    sys.exit(3)
print("\n".join(sorted({"%s: %s" % (p["part"], p["what"]) for p in bad})))'
}
vision() { systemctl "$@" 'loumen-vision@*.path' 'loumen-vision@*.service'; }
start_vision() { # now, or where no systemd runs at the next boot
    local now=()
    ! booted || now=(--now)
    if "$BASE/current/bin/python" - "$CONFIG" <<'PY'
import sys
from gateway.config.last_good import choose
from pathlib import Path
sys.exit(choose(Path(sys.argv[1])).config.vision.run != "service")
PY
    then
        systemctl --quiet enable "${now[@]}" loumen-vision@doors.path loumen-vision@lanes.path
    else
        systemctl --quiet disable "${now[@]}" loumen-vision@doors.path loumen-vision@lanes.path 2>/dev/null || true
    fi
}
warm() { # release: what its start needs is in memory before the old one stops: a card reads slowly
    "$BASE/releases/$1/bin/python" -c 'import gateway.cli.run, gateway.daemon, gateway.lanes.answers, gateway.services
import drivers.gpio_chardev' 2>/dev/null || true # one that cannot be imported says so when it is started
}
ends() { # pid: when it has ended, milliseconds since the boot
    tail --pid="$1" --sleep-interval=0.02 -f /dev/null
    awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}
restart_into() { # release: from the old one's end to the new one's READY
    local old ended='' watching ready
    warm "$1"
    vision stop || true
    old=$(property MainPID)
    if [ "${old:-0}" -gt 0 ]; then
        ends "$old" >"$BASE/ended" &
        watching=$!
    fi
    # The link first: who runs keeps to the release that it was started from, and one job stops it and starts the other.
    point current "$1" || return 1
    sync -f "$BASE" # now, not while nobody owns the outputs
    systemctl restart loumen.service || return 1
    ready=$(property ActiveEnterTimestampMonotonic)
    if [ -n "${watching:-}" ]; then
        wait "$watching"
        ended=$(cat "$BASE/ended")
        gap=$((ready / 1000 - ended))
        say "outputs were without an owner for $gap ms (they rested)"
        [ "$gap" -le "$LONGEST" ] || say "WARNING: that is more than $LONGEST ms"
    fi
    rm -f "$BASE/ended"
}
healthy() { # for the whole window: alive, the same process, no serious problem that was not there before
    local before=$1 restarts until now new
    restarts=$(property NRestarts)
    until=$((SECONDS + health))
    say "watching it for $health s"
    while :; do
        if [ "$(property NRestarts)" != "$restarts" ] || ! systemctl is-active --quiet loumen.service; then
            why="it died: $(last_words)"
            return 1
        fi
        [ "$SECONDS" -lt "$until" ] || break
        sleep 1
    done
    if ! now=$(serious); then
        why="it does not answer 'loumen status'"
        return 1
    fi
    new=$(comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$now"))
    if [ -n "$new" ]; then
        why="a serious problem that was not there before: $(echo "$new" | tr '\n' ';')"
        return 1
    fi
    [ -z "$now" ] || say "still wrong, as before: $(echo "$now" | tr '\n' ';')"
}
begun() { # release: what a power cut would interrupt, for `mend`
    local from
    from=$(release_of current)
    echo "from ${from:-nothing} to $1${config_replaced:+ with its configuration}" >"$BASE/switching.new"
    sync "$BASE/switching.new"
    mv "$BASE/switching.new" "$BASE/switching"
}
switch_to() {
    local to=$1 from before='' why='' gap=''
    from=$(release_of current)
    begun "$to"
    if running; then before=$(serious) || before=''; fi
    printf '%s\n' "$before" >"$BASE/switching.before"
    put_units "$BASE/releases/$to/share/loumen/systemd"
    if ! booted; then
        point current "$to"
        [ -z "$from" ] || [ "$from" = "$to" ] || point previous "$from"
        enable_units
        start_vision
        rm -f "$BASE/switching"
        say "no systemd runs here: installed, and it starts when this machine boots"
        return
    fi
    enable_units
    if restart_into "$to" && { start_vision; healthy "$before"; }; then
        switched "$from" "$to"
        return
    fi
    [ -n "$why" ] || why="it did not start: $(last_words)"
    go_back "$from" "$to" "$why"
}
switched() { # from, to
    [ -z "$1" ] || [ "$1" = "$2" ] || point previous "$1"
    rm -f "$BASE/switching"
    announce
    prune
    say "release $2 runs and is well"
}
mend() { # at boot, where a power cut interrupted a switch: loumen runs already, from one release or the other
    local from to current why='' config
    [ -e "$BASE/switching" ] || return 0
    take_lock
    read -r _ from _ to config <"$BASE/switching" || true
    current=$(release_of current)
    [ "$from" != nothing ] || from=''
    if [ -n "$config" ]; then config_replaced=yes; fi
    if [ -n "$to" ] && [ "$current" != "$to" ] && [ -n "$current" ]; then
        say "the switch to $to had not begun: $current stays in use"
        put_back "$current"
        systemctl restart loumen.service
        start_vision
        rm -f "$BASE/switching"
        return
    fi
    start_vision
    if healthy "$(cat "$BASE/switching.before" 2>/dev/null || true)"; then
        switched "$from" "$current"
    else
        go_back "$from" "$current" "$why"
    fi
}
go_back() { # from, to, why
    if [ -z "$1" ] || [ "$1" = "$2" ]; then
        rm -f "$BASE/switching"
        fail "release $2 is not well: $3" "nothing was here before to go back to; see: loumen status, journalctl -u loumen"
    fi
    say "release $2 is not well, going back to $1: $3"
    put_back "$1"
    if restart_into "$1"; then start_vision; else fail "neither $2 nor $1 starts: $3" "journalctl -u loumen"; fi
    rm -f "$BASE/switching"
    fail "release $2 was taken back, $1 runs again: $3" "journalctl -u loumen; the journal and the directory stayed as they are"
}
put_back() { # release: its units, and the configuration from before
    put_units "$BASE/releases/$1/share/loumen/systemd"
    if [ -n "$config_replaced" ] && [ -e "$CONFIG.before" ]; then mv "$CONFIG.before" "$CONFIG"; fi
}
prune() { # the two that are in use stay
    local at name
    for at in "$BASE"/releases/*/; do
        name=$(basename "$at")
        [ "$name" = "$(release_of current)" ] || [ "$name" = "$(release_of previous)" ] || {
            rm -f "$at/.whole" # first: one that is half removed must not pass for a whole one
            rm -rf "$at"
        }
    done
    for at in "$BASE"/incoming/*/; do
        [ "${at%/}" = "$HERE" ] || rm -rf "$at"
    done
}
announce() { # found as _loumen._tcp by whoever asks the network; avahi costs the daemon nothing
    local file=/etc/avahi/services/loumen.service
    mkdir -p "$(dirname "$file")"
    if "$BASE/current/bin/loumen" label --avahi >"$file.new" 2>/dev/null; then mv "$file.new" "$file"; else rm -f "$file.new"; fi
    "$BASE/current/bin/loumen" label 2>/dev/null || true
}

# --- the verbs

install_or_update() {
    local id config=${given_config:-$CONFIG}
    id=$(release_id)
    if [ "$verb" = update ] && [ -z "$(release_of current)" ]; then
        fail "nothing is installed here yet" "$0 install --config FILE"
    fi
    [ -e "$config" ] || fail "there is no configuration: $CONFIG" "loumen config new makes one; $0 install --config FILE"
    check_units "$HERE/systemd"
    if [ -n "$dry" ]; then
        plan "$id" "$config"
        return
    fi
    take_lock
    [ ! -e "$BASE/switching" ] || say "a switch was interrupted ($(cat "$BASE/switching")): it is done again"
    prepare "$id"
    check_config "$id" "$config" || fail "the new release does not take $config; $(runs)" "mend the lines above"
    put_config "$id"
    make_key
    switch_to "$id"
}
plan() {
    local now entry
    now=$(release_of current)
    need_python
    [ -e "$BASE/releases/$1/.whole" ] || need_room
    say "nothing is changed (--dry-run). It would"
    if [ -e "$BASE/releases/$1/.whole" ]; then
        say "  use release $1, which is prepared already"
    else
        say "  prepare release $1 in $BASE/releases (about $(($(needed_kb) / 1024)) MB, $(($(free_kb "$BASE") / 1024)) MB are free)"
        say "    from ${wheels:-the package index}, by requirements/*.txt with their hashes; models made and checked"
    fi
    say "  check $2 with it"
    if [ -n "$given_config" ]; then say "  put $given_config in place of $CONFIG"; fi
    [ -e "$CREDENTIAL" ] || say "  make the box key $CREDENTIAL"
    for entry in "${PLACES[@]}"; do
        cmp -s "${entry#* }" "$HERE/systemd/${entry%% *}" || say "  write ${entry#* }"
    done
    say "  stop loumen, point $BASE/current from ${now:-nothing} to $1, start loumen"
    say "  watch it for $health s; go back to ${now:-nothing} if it is not well"
}
rollback() {
    local to current
    to=$(release_of previous) current=$(release_of current)
    [ -e "$BASE/releases/${to:-none}/.whole" ] || fail "there is no release before ${current:-this one} here"
    check_units "$BASE/releases/${current:-$to}/share/loumen/systemd"
    if [ -n "$dry" ]; then
        say "nothing is changed (--dry-run). It would stop loumen, point $BASE/current from $current to $to, start it,"
        say "watch it for $health s. The journal and the directory stay as they are."
        return
    fi
    take_lock
    check_config "$to" "$CONFIG" || say "WARNING: release $to does not take the configuration; it will run its last good one"
    switch_to "$to"
    say "the journal and the directory stayed as they are: they are never rolled back"
}
show() {
    local current changed bad
    current=$(release_of current)
    say "release    ${current:-none}"
    say "before     $(release_of previous | grep . || echo none)"
    [ ! -e "$BASE/switching" ] || say "WARNING: a switch was interrupted: $(cat "$BASE/switching"); run the same command again"
    if [ -n "$current" ]; then
        changed=$(edited "$BASE/current/share/loumen/systemd")
        [ -z "$changed" ] || say "edited     $(echo "$changed" | tr '\n' ' ')"
    fi
    running || { say "service    not running"; return 1; }
    say "service    running since $(property ActiveEnterTimestamp), restarted $(property NRestarts) times"
    bad=$(serious) || { say "status     does not answer"; return 1; }
    [ -z "$bad" ] || { say "status     $(echo "$bad" | tr '\n' ';')"; return 1; }
    say "status     well"
}

# --- over ssh: send what is missing, then one remote step that goes on without us

# shellcheck disable=SC2029  # what is known here is filled in here
there() { ssh "${link[@]}" "$host" "$@"; }
lost() {
    printf 'deploy: the connection to %s was lost; what was begun there goes on\n' "$host" >&2
    printf '  mend: %s status --host %s; to run the same command again is safe\n' "$0" "$host" >&2
    exit 5
}
try_there() { # the connection's own failure is 255
    local code=0
    there "$@" || code=$?
    [ "$code" != 255 ] || lost
    return "$code"
}
remote() {
    local id at link=(-o ServerAliveInterval=5 -o ServerAliveCountMax=3) words=("$verb" --health "$health") code=0
    # shellcheck disable=SC2016  # for the shell over there
    local as='[ "$(id -u)" = 0 ] && as= || as="sudo -n"; '
    id=$(release_id) at=$BASE/incoming/$id
    try_there "$as \$as true" || fail "no root on $host" "log in as root, or let sudo ask for no password"
    if [ -n "$dry" ]; then words+=(--dry-run); fi
    if [ -n "$replace" ]; then words+=(--replace-units); fi
    if [ "$verb" = status ] || [ "$verb" = rollback ]; then # the box has all it needs for these
        step "$BASE/current/share/loumen"
        return
    fi
    # What was sent whole stays: a step that a lost connection left behind may be reading it.
    if ! try_there "$as \$as test -e $at/.sent"; then
        say "sending release $id to $host"
        sources | (cd "$HERE" && tar -czf - -T -) | try_there "$as \$as rm -rf $at; \$as mkdir -p $at &&
            \$as tar -xzf - -C $at && \$as touch $at/.sent" || {
            [ $? = 5 ] || fail "$host could not take the release"
            exit 5
        }
    fi
    if [ -n "$given_config" ]; then
        try_there "$as \$as tee $at/gateway.toml >/dev/null" <"$given_config"
        words+=(--config "$at/gateway.toml")
    fi
    if [ -n "$wheels" ]; then
        send_wheels
        words+=(--wheels "$BASE/wheels")
    fi
    step "$at"
}
step() { # one step of theirs: it has its own session and log, so that it outlives this connection
    local code=0
    # shellcheck disable=SC2016  # for the shell over there
    try_there "$as"' $as bash -s' <<REMOTE || code=$?
[ -e $1/deploy.sh ] || { echo "deploy: nothing is installed on this box" >&2; exit 1; }
mkdir -p $BASE/incoming && cd $BASE/incoming && log=\$\$ && : >\$log.log
setsid nohup bash -c 'bash $1/deploy.sh ${words[*]}; echo \$? >'\$log.exit >\$log.log 2>&1 </dev/null &
tail -q -n +1 --pid=\$! -f \$log.log
code=\$(cat \$log.exit || echo 1)
rm -f \$log.exit \$log.log
exit "\$code"
REMOTE
    return "$code"
}
send_wheels() {
    local here there_now missing
    there_now=$(try_there "$as \$as mkdir -p $BASE/wheels && cd $BASE/wheels && sha256sum -- *.whl 2>/dev/null || true")
    here=$(cd "$wheels" && sha256sum -- *.whl)
    missing=$(comm -23 <(sort <<<"$here") <(sort <<<"$there_now") | awk '{ print $2 }')
    [ -n "$missing" ] || return 0
    say "sending $(wc -l <<<"$missing") wheels"
    (cd "$wheels" && tar -cf - -T <(printf '%s\n' "$missing")) | try_there "$as \$as tar -xf - -C $BASE/wheels"
}

main() {
    parse "$@"
    if [ -n "$host" ]; then
        remote
    elif [ "$verb" = status ]; then
        show
    else
        if [ -z "$dry" ]; then need_root; fi
        case $verb in rollback) rollback ;; mend) mend ;; *) install_or_update ;; esac
    fi
}

main "$@"
