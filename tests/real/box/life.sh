# A box's life: installed on an empty Debian, updated, spoiled, rolled back. Run as root in a booted machine.
share=/mnt@SHARE@ wheels=/mnt@WHEELS@
here=$share/one
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines

deploy dry install --config "$share/door.toml" --wheels "$wheels" --dry-run
echo "dry.left $(ls -d /opt/loumen /etc/loumen /etc/credstore /etc/systemd/system/loumen.service 2>/dev/null)"
deploy install install --config "$share/door.toml" --wheels "$wheels" --health 3
loumen status --json >/run/status; echo "status.code $?"
echo "status.json $(cat /run/status)"
door installed
echo "key.used $([ -e /var/lib/loumen/keys/box.key ] && echo no || echo yes) $(stat -c '%a %U' /etc/credstore/loumen-box-key)"
echo "device $(stat -c '%U %G %a' /dev/gpiochip0)"
echo "config $(stat -c '%U %G %a' /etc/loumen/gateway.toml)"
echo "daemon $(stat -c %U "/proc/$(systemctl show --value -p MainPID loumen)")"
echo "avahi $(grep -c loumen._tcp /etc/avahi/services/loumen.service)"
loumen enrol --output /run/request.json >/dev/null; echo "enrol.code $?"
echo "foreign $(find /var/lib/loumen ! -user loumen | tr '\n' ' ')"

echo "# killed and hung"
was=$(systemctl show --value -p MainPID loumen)
kill -9 "$was"
for _ in $(seq 60); do loumen status >/dev/null && break; sleep 0.2; done
echo "killed.again $([ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && echo yes)"
was=$(systemctl show --value -p MainPID loumen)
kill -STOP "$was"
for _ in $(seq 100); do [ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && break; sleep 0.2; done
for _ in $(seq 60); do loumen status >/dev/null && break; sleep 0.2; done
echo "hung.again $([ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && echo yes)"
journalctl -u loumen -o cat --no-pager | grep -i watchdog | head -2

here=$share/two
deploy update update --wheels "$wheels" --health 3
door updated

echo "# what must change nothing"
here=$share/one
deploy badconfig update --config "$share/bad.toml" --wheels "$wheels" --health 3
deploy nochip update --config "$share/nochip.toml" --wheels "$wheels" --health 3
echo "# mine" >>/etc/systemd/system/loumen.service
deploy edited update --wheels "$wheels" --health 3
cp $share/two/systemd/loumen.service /etc/systemd/system/loumen.service
fallocate -l "$(($(df -Pk /opt | awk 'NR==2{print $4}') - 20000))"K /opt/big
here=$share/dies
deploy room update --wheels "$wheels" --health 3
rm /opt/big
(
    flock 8
    deploy locked update --wheels "$wheels" --health 3
) 8>>/opt/loumen/deploy.lock

echo "# a release that dies, one that is sick"
deploy dies update --wheels "$wheels" --health 3
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
loumen event verify >/dev/null; echo "journal.code $?"
echo "journal.starts $(loumen event list --json --limit 1000 2>/dev/null | grep -o 'daemon.started' | wc -l)"
echo "failed $(systemctl --failed --no-legend | tr '\n' ' ')"
journalctl -b --no-pager -o cat | grep -iE 'loumen.*(denied|EPERM|not permitted)|seccomp|sandbox' | head
