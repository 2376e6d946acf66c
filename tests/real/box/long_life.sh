# A box's long life: updated, hung, sick, over a connection that is lost, rolled back. Run as root in a booted machine.
share=/mnt@SHARE@ wheels=/mnt@WHEELS@
here=$share/one
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines
network

here=$share/one
via=$there
deploy install install --host pi@192.168.7.1 --config "$share/door.toml" --wheels "$wheels" --health 3
via=

echo "# hung"
was=$(systemctl show --value -p MainPID loumen)
kill -STOP "$was"
for _ in $(seq 100); do [ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && break; sleep 0.2; done
for _ in $(seq 60); do loumen status >/dev/null && break; sleep 0.2; done
echo "hung.again $([ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && echo yes)"
journalctl -u loumen -o cat --no-pager | grep -i watchdog | head -2

here=$share/two
deploy update update --wheels "$wheels" --health 3
door updated

here=$share/sick
deploy sick update --wheels "$wheels" --health 3
door taken_back

echo "# over a connection that is lost half-way: while it sends, then while it switches"
via=$there
here=$share/five
rm -rf /opt/loumen/wheels
was=$(systemctl show --value -p MainPID loumen)
deploy sending update --host pi@192.168.7.1 --wheels "$wheels" --health 3 &
until [ "$(ls /opt/loumen/wheels 2>/dev/null | wc -l)" -gt 3 ]; do sleep 0.05; done
pkill -KILL -u pi sshd
wait $!
echo "sending.same $([ "$(systemctl show --value -p MainPID loumen)" = "$was" ] && echo yes)"
deploy lost update --host pi@192.168.7.1 --wheels "$wheels" --health 3 &
until [ -e /opt/loumen/switching ]; do sleep 0.05; done
ip link set eth0 down
wait $!
flock -w 200 /opt/loumen/deploy.lock true # it went on by itself
ip link set eth0 up
ip route add default via 192.168.7.2
echo "lost.after $(basename "$(readlink /opt/loumen/current)")"
deploy again update --host pi@192.168.7.1 --wheels "$wheels" --health 3
deploy there status --host pi@192.168.7.1
via=
deploy rollback rollback # watched for its full minute
door rolled_back
deploy status status
systemctl stop loumen
loumen event verify >/dev/null; echo "journal.code $?"
echo "journal.starts $(loumen event list --json --limit 1000 2>/dev/null | grep -o 'daemon.started' | wc -l)"
echo "failed $(systemctl --failed --no-legend | tr '\n' ' ')"
journalctl -b --no-pager -o cat | grep -iE 'loumen.*(denied|EPERM|not permitted)|seccomp|sandbox' | head
