# A box whose vision process is systemd's: its own user and sandbox, started by the daemon's settings. Run as root.
share=/mnt@SHARE@ wheels=/mnt@WHEELS@
here=$share/one
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines

mkdir -p /srv/pictures && cp "$share"/faces/* /srv/pictures/ && chmod -R a+rX /srv/pictures
deploy install install --config "$share/faces.toml" --wheels "$wheels" --health 3
for _ in $(seq 120); do
    loumen status --json >/run/status
    grep -q '"frame_age":[0-9]' /run/status && break
    sleep 0.5
done
echo "status.json $(cat /run/status)"
worker=$(systemctl show --value -p MainPID loumen-vision@doors)
echo "worker.user $(stat -c '%U %G' "/proc/$worker")"
echo "worker.oom $(cat "/proc/$worker/oom_score_adj")"
echo "worker.memory_max $(cat /sys/fs/cgroup/system.slice/*/loumen-vision@doors.service/memory.max)"
echo "worker.sees $(nsenter -t "$worker" -m ls /var/lib/loumen /etc/credstore 2>&1 | tr '\n' ' ')"
loumen person add Barack --home 1-1-1 --door main --consent >/dev/null; echo "person.code $?"
loumen face enrol Barack "$share"/faces/* >/run/said 2>&1; echo "enrol.code $?"
sed 's/^/enrol| /' /run/said
kill -9 "$worker"
for _ in $(seq 120); do
    [ "$(systemctl show --value -p MainPID loumen-vision@doors)" != "$worker" ] && [ "$(systemctl is-active loumen-vision@doors)" = active ] && break
    sleep 0.5
done
echo "worker.again $(systemctl is-active loumen-vision@doors)"
door beside
systemctl restart loumen
for _ in $(seq 120); do
    loumen status --json 2>/dev/null | grep -q '"frame_age":[0-9]' && break
    sleep 0.5
done
echo "daemon_again $(loumen status --json | grep -c '"frame_age":[0-9]')"
journalctl -u 'loumen*' -o cat --no-pager | grep -iE 'not permitted|denied|Traceback|refused|rror' | sed 's/^/trouble| /' | tail -5
