# Sourced in a booted box: its lines, and how the tests tell the host what they saw ("key value" lines).

lines() { # a bank of simulated lines is the board; the door's leaf is closed
    echo "board up"
    local bank=/sys/kernel/config/gpio-sim/pinctrl-bcm2711
    mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
    if [ ! -d $bank ]; then
        mkdir -p $bank/bank
        echo 28 >$bank/bank/num_lines
        echo pinctrl-bcm2711 >$bank/bank/label
        echo 1 >$bank/live
    fi
    chip=$(echo /sys/devices/platform/gpio-sim.0/gpiochip*)
    wire 22 up
}
lines_at_boot() { # as a board has them: before the daemon starts
    cp "$share/board.sh" /usr/local/lib/board.sh
    cat >/etc/systemd/system/board.service <<'UNIT'
[Unit]
Before=loumen.service
[Service]
Type=oneshot
ExecStart=/bin/bash -c '. /usr/local/lib/board.sh; lines'
[Install]
WantedBy=multi-user.target
UNIT
    systemctl --quiet enable board.service
}
wire() { echo "pull-$2" >"$chip/sim_gpio$1/pull"; }
level() { cat "$chip/sim_gpio$1/value"; }
becomes() { # line, level: "yes" within three seconds
    local left=60
    until [ "$(level "$1")" = "$2" ]; do
        left=$((left - 1))
        [ $left -gt 0 ] || { echo no; return; }
        sleep 0.05
    done
    echo yes
}
door() { # by its exit button and by a command: each "yes" where the lock was released and fell again
    wire 23 up
    echo "$1.button $(becomes 17 1)$(wire 23 down)$(becomes 17 0)"
    loumen door open main >/dev/null
    echo "$1.command $(becomes 17 1)$(becomes 17 0)"
}
network() { # a wire to a technician's machine, which is a network namespace; ssh to pi@192.168.7.1 by key works from there
    export HOME=~root
    echo '127.0.1.1 box' >>/etc/hosts # sudo asks for it
    ip netns add technician
    ip link add eth0 type veth peer name eth0 netns technician
    ip addr add 192.168.7.1/24 dev eth0
    ip -n technician addr add 192.168.7.2/24 dev eth0
    ip link set eth0 up
    ip -n technician link set eth0 up
    ip -n technician link set lo up
    ip route add default via 192.168.7.2
    useradd --create-home pi
    echo 'pi ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/pi
    mkdir -p ~/.ssh ~pi/.ssh
    ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
    cp ~/.ssh/id_ed25519.pub ~pi/.ssh/authorized_keys
    echo 'StrictHostKeyChecking accept-new' >~/.ssh/config
}
there='ip netns exec technician'
deploy() { # name, words: what it said, its exit code, the seconds it took
    local name=$1 began code=0
    shift
    began=$(cut -d. -f1 /proc/uptime)
    $via bash "$here/deploy.sh" "$@" >/run/said 2>&1 || code=$?
    sed "s/^/$name| /" /run/said
    echo "$name.code $code"
    echo "$name.seconds $(($(cut -d. -f1 /proc/uptime) - began))"
    echo "$name.release $(basename "$(readlink /opt/loumen/current)")"
    echo "$name.pid $(systemctl show --value -p MainPID loumen)"
}
