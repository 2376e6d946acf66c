# A box's long life: updated, hung, sick, over a connection that is lost, rolled back. Run as root in a booted machine.
share=/mnt@SHARE@ wheels=/mnt@WHEELS@
here=$share/one
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines

deploy install install --config "$share/door.toml" --wheels "$wheels" --health 3

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

echo "# over a connection that is lost half-way"
export PATH=$share/bin:$PATH LOSE=/run/lose
here=$share/five
touch /run/lose
deploy lost update --host box --wheels "$wheels" --health 3
flock -w 200 /opt/loumen/deploy.lock true # it went on by itself
echo "lost.after $(basename "$(readlink /opt/loumen/current)")"
deploy again update --host box --wheels "$wheels" --health 3
deploy there status --host box
deploy rollback rollback --health 3
door rolled_back
deploy status status
systemctl stop loumen
loumen event verify >/dev/null; echo "journal.code $?"
echo "journal.starts $(loumen event list --json --limit 1000 2>/dev/null | grep -o 'daemon.started' | wc -l)"
echo "failed $(systemctl --failed --no-legend | tr '\n' ' ')"
journalctl -b --no-pager -o cat | grep -iE 'loumen.*(denied|EPERM|not permitted)|seccomp|sandbox' | head
