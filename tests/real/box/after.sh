# What a box is after a power cut: it mends itself, and says so within a minute. Run as root in a booted machine.
share=/mnt@SHARE@
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines
for _ in $(seq 300); do
    [ ! -e /opt/loumen/switching ] && loumen status >/dev/null && break
    sleep 0.2
done
bash /opt/loumen/current/share/loumen/deploy.sh status >/run/said; echo "status.code $?"
sed 's/^/status| /' /run/said
release=$(basename "$(readlink /opt/loumen/current)")
echo "release $release"
echo "whole $(ls "/opt/loumen/releases/$release/.whole" >/dev/null && echo yes)"
echo "runs $(tr '\0' ' ' <"/proc/$(systemctl show --value -p MainPID loumen)/cmdline")"
for unit in loumen.service loumen-vision@.service loumen-switch.service; do
    cmp -s "/etc/systemd/system/$unit" "/opt/loumen/current/share/loumen/systemd/$unit" || echo "unit_differs $unit"
done
loumen model verify >/dev/null; echo "models.code $?"
echo "interrupted $(ls /opt/loumen/switching 2>/dev/null)"
door after
journalctl -b -u loumen-switch -o cat --no-pager | sed 's/^/mend| /'
echo "failed $(systemctl --failed --no-legend | tr '\n' ' ')"
