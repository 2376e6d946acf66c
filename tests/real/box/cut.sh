# A switch of releases, in the middle of which the power goes: says how far it is. Run as root in a booted box that has two.
share=/mnt@SHARE@
. "$share/board.sh"
lines
for _ in $(seq 120); do /usr/local/bin/loumen status >/dev/null && break; sleep 0.2; done
was=$(readlink /opt/loumen/current)
bash /opt/loumen/current/share/loumen/deploy.sh rollback --health 3 >/run/said 2>&1 &
until [ -e /opt/loumen/switching ]; do sleep 0.05; done
echo begun
until [ "$(readlink /opt/loumen/current)" != "$was" ]; do sleep 0.05; done
echo linked
wait
