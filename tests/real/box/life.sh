# A box's first day: installed on an empty Debian, disturbed, updated to a release that dies. Run as root in a booted machine.
share=/mnt@SHARE@ wheels=/mnt@WHEELS@
here=$share/one
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
lines
network

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
echo "found $($there python3 "$share/finds.py" 192.168.7.2 2>&1 | tail -1)"
echo "label $(loumen label --json)"
echo "disk $(findmnt -n -o OPTIONS -T /var/lib/loumen) $(systemctl is-enabled loumen-disk) $(systemctl is-active loumen-disk)"
echo "rules $(journalctl -b -u systemd-udevd -o cat --no-pager | grep -c loumen.rules)"
loumen enrol --output /run/request.json >/dev/null; echo "enrol.code $?"
echo "foreign $(find /var/lib/loumen ! -user loumen | tr '\n' ' ')"

echo "# killed"
was=$(systemctl show --value -p MainPID loumen)
kill -9 "$was"
for _ in $(seq 60); do loumen status >/dev/null && break; sleep 0.2; done
echo "killed.again $([ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && echo yes)"
echo "# what must change nothing"
deploy badconfig update --config "$share/bad.toml" --wheels "$wheels" --health 3
deploy nochip update --config "$share/nochip.toml" --wheels "$wheels" --health 3
echo "# mine" >>/etc/systemd/system/loumen.service
deploy edited update --wheels "$wheels" --health 3
cp $share/one/systemd/loumen.service /etc/systemd/system/loumen.service
fallocate -l "$(($(df -Pk /opt | awk 'NR==2{print $4}') - 20000))"K /opt/big
here=$share/dies
deploy room update --wheels "$wheels" --health 3
rm /opt/big
(
    flock 8
    deploy locked update --wheels "$wheels" --health 3
) 8>>/opt/loumen/deploy.lock

echo "# a release that dies"
deploy dies update --wheels "$wheels" --health 3
door taken_back

echo "# a release that lives"
here=$share/two
deploy update update --wheels "$wheels" --health 3
door updated
lines_at_boot
mkdir -p /etc/systemd/system/loumen-switch.service.d
printf '[Service]\nEnvironment=LOUMEN_HEALTH_SECONDS=3\n' >/etc/systemd/system/loumen-switch.service.d/test.conf
echo "failed $(systemctl --failed --no-legend | tr '\n' ' ')"
