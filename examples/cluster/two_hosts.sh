#!/usr/bin/env bash
# Two hosts on one machine: network namespaces joined by a cable of a chosen rate, one rank in each, over TCP.
# usage (as root; needs iproute2 and openssh-client): two_hosts.sh MODEL.onnx [OPTION of sparse-run...]
# RATE=1gbit limits the cable (tc tbf), DELAY=1ms is added by the transport. The namespaces are removed at the end.
set -eu
model=$(realpath "$1")
shift
program=$(realpath "${SPARSE_RUN:-build/release/bin/sparse-run}")
one=sparse-run-one-$$ two=sparse-run-two-$$
agent=$(mktemp)
cleanup() {
  ip netns delete "$one" 2>/dev/null || true
  ip netns delete "$two" 2>/dev/null || true
  rm -f "$agent"
}
trap cleanup EXIT

ip netns add "$one"
ip netns add "$two"
ip link add veth0 netns "$one" type veth peer name veth0 netns "$two"
number=1
for host in "$one" "$two"; do
  ip -n "$host" address add 10.77.0.$number/24 dev veth0
  ip -n "$host" link set lo up
  ip -n "$host" link set veth0 up
  if [ -n "${RATE:-}" ]; then
    ip netns exec "$host" tc qdisc add dev veth0 root tbf rate "$RATE" burst 256kb latency 400ms
  fi
  number=$((number + 1))
done

# What mpirun calls instead of ssh: HOST COMMAND...
cat > "$agent" <<AGENT
#!/bin/bash
case "\$1" in 10.77.0.1) host=$one ;; *) host=$two ;; esac
shift
exec ip netns exec "\$host" bash -c "\$*"
AGENT
chmod +x "$agent"

OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  ip netns exec "$one" mpirun -n 2 --host 10.77.0.1:1,10.77.0.2:1 --bind-to none --mca plm_rsh_agent "$agent" \
  --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 --mca pml ob1 \
  "$program" ${DELAY:+--inject "delay=$DELAY"} "$@" "$model"
