# An installed box starts on a stock kernel: its door, a hung daemon, adapters and cameras by name. Run as root.
share=/mnt
export PATH=$PATH:/usr/local/bin
. "$share/board.sh"
echo "kernel $(uname -r)"
insmod "$share/gpio-sim.ko"
lines
for _ in $(seq 600); do loumen status --json >/run/status; grep -q '"sensed":"closed"' /run/status && break; sleep 0.5; done
echo "status.json $(cat /run/status)"
echo "user $(stat -c %U "/proc/$(systemctl show --value -p MainPID loumen)")"
door installed

was=$(systemctl show --value -p MainPID loumen)
kill -STOP "$was"
began=$(cut -d. -f1 /proc/uptime)
for _ in $(seq 300); do [ "$(systemctl show --value -p MainPID loumen)" != "$was" ] && break; sleep 0.2; done
echo "hung.after $(($(cut -d. -f1 /proc/uptime) - began))"
for _ in $(seq 600); do loumen status --json >/run/status; grep -q '"sensed":"closed"' /run/status && break; sleep 0.5; done
echo "hung.said $(journalctl -u loumen -o cat --no-pager | grep -c 'Watchdog timeout')"
door again

echo "serial $(readlink -f /dev/loumen/serial-A50285BI)"
unit=loumen-vision@doors.service
echo "camera.none $(systemctl show --value -p DeviceAllow "$unit" | tr '\n' ' ')"
modprobe vivid n_devs=2 node_types=0x1,0x1
udevadm settle
for _ in $(seq 200); do systemctl show --value -p DeviceAllow "$unit" | grep -q video && break; sleep 0.5; done
echo "camera.allowed $(systemctl show --value -p DeviceAllow "$unit" | tr '\n' ' ')"
group=/sys/fs/cgroup$(systemctl show --value -p ControlGroup "$unit")
opens() { # a device, by a process in the unit's control group
    # shellcheck disable=SC2016  # for the other shell
    bash -c 'echo $$ >"$1" && exec 3<>"$2"' _ "$group/cgroup.procs" "$1" 2>/dev/null && echo yes || echo no
}
echo "camera.opens $(opens /dev/video0)$(opens /dev/video1)"
echo "camera.limit $(cat "$group/memory.max")"
ls -l /dev/loumen | sed 's/^/dev| /'
journalctl -b -o cat --no-pager -u "$unit" | tail -15 | sed 's/^/vision| /'
