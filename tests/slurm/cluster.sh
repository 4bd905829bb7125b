#!/usr/bin/env bash
# A Slurm of two nodes on this one host, for tests: munged, slurmctld and two slurmd, all on 127.0.0.1, without systemd.
#   cluster.sh up DIR [PORT]    start it in DIR, with PORT and the two after it; then use it with SLURM_CONF=DIR/slurm.conf
#   cluster.sh down DIR         stop exactly what was started there, by pid
# Needs root and: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

verb=$1
dir=$(realpath -m "$2")
port=${3:-16817}
export SLURM_CONF=$dir/slurm.conf

down() {
  local file pid
  for file in slurmd-n1 slurmd-n2 slurmctld munge/munged; do
    [ -s "$dir/$file.pid" ] || continue
    pid=$(cat "$dir/$file.pid")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  done
}

up() {
  mkdir -p "$dir"/{state,log,munge,spool-n1,spool-n2}
  chmod 755 "$dir"
  chown munge: "$dir/munge"
  head -c 1024 /dev/urandom > "$dir/munge/key"
  chown munge: "$dir/munge/key"
  chmod 400 "$dir/munge/key"
  cat > "$SLURM_CONF" <<CONF
ClusterName=ltbench-test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=1 RealMemory=4000
PartitionName=short Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  echo 'CgroupPlugin=autodetect' > "$dir/cgroup.conf"
  runuser -u munge -- munged --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
    --pid-file="$dir/munge/munged.pid" --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
  slurmctld -c
  slurmd -N n1
  slurmd -N n2
  for _ in $(seq 120); do
    [ "$(sinfo -h -o '%T %D' 2>/dev/null)" = "idle 2" ] && return
    sleep 0.25
  done
  echo "the nodes did not come up:" >&2
  sinfo >&2 || true
  tail -n 20 "$dir"/log/*.log >&2 || true
  down
  return 1
}

"$verb"
