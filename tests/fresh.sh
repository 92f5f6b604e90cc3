#!/usr/bin/env bash
# fresh.sh [RELEASE...] [--as root|user] [--data] [--quick] [--keep]: what a newcomer meets. For each release of Debian
# (bookworm, trixie; default: both) and each way to be there, a bare root (debootstrap's minbase with git and
# ca-certificates) gets a clone of this checkout's HEAD and runs the two commands of the README:
#
#   as root   and then makes the Debian packages, installs them in another bare root and explains a phantom
#   as user   in a root with sudo besides, as a user who may use it
#
# Nothing of the outer machine is there but the kernel and the way to the network; with --data also ../shared,
# read-only, for the tests of real data. With --quick the slow tests are left out. Takes root (or sudo) and
# LUNGCDAM_FRESH_FOLDER (default /var/tmp) with 8 GB of room. Bare roots are kept as tarballs for 30 days in
# ${XDG_CACHE_HOME:-~/.cache}/lungcdam; LUNGCDAM_FRESH_MIRROR names another mirror than debootstrap's own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
releases=() ways=() keep='' shared='' tests='./run test'
while (($# > 0)); do
  case $1 in
  bookworm | trixie) releases+=("$1") ;;
  --as) case ${2:-} in root | user) ways+=("$2") && shift ;; *) echo "fresh: --as needs root or user" >&2 && exit 2 ;; esac ;;
  --data) shared=$(realpath ../shared) ;;
  --quick) tests='./run check asan; ./run test -LE slow' ;;
  --keep) keep=1 ;;
  *) echo "fresh: knows bookworm, trixie, --as root|user, --data, --quick and --keep, not $1" >&2 && exit 2 ;;
  esac
  shift
done
((${#releases[@]} > 0)) || releases=(bookworm trixie)
((${#ways[@]} > 0)) || ways=(root user)

say() { printf 'fresh: %s\n' "$*"; }
as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

work=$(mktemp -d "${LUNGCDAM_FRESH_FOLDER:-/var/tmp}/lungcdam-fresh.XXXXXX")
chmod 755 "$work"
# Mounts live in name spaces of their own and end with the commands that made them.
clean() { if [[ -z $keep ]]; then as_root rm -rf --one-file-system "$work"; else say "kept $work"; fi; }
trap clean EXIT
[[ -z $(git status --porcelain --untracked-files=no) ]] || say "uncommitted changes are not part of it"
git bundle create --quiet "$work/lungcdam.bundle" HEAD

# bare RELEASE: prints the path of the tarball with its bare root, made first where it is not there.
bare() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/lungcdam
  local tarball=$cache/bare-$1.tar
  mkdir -p "$cache"
  if [[ -z $(find "$tarball" -mtime -30 2>/dev/null) ]]; then
    say "making a bare root of $1" >&2
    as_root debootstrap --variant=minbase --include=git,ca-certificates "$1" "$work/bare-$1" \
      ${LUNGCDAM_FRESH_MIRROR:+"$LUNGCDAM_FRESH_MIRROR"} >"$work/debootstrap.log" ||
      { tail -n 20 "$work/debootstrap.log" >&2 && return 1; }
    as_root tar --numeric-owner --one-file-system -C "$work/bare-$1" -cf "$tarball.$$" .
    mv -f "$tarball.$$" "$tarball"
    as_root rm -rf --one-file-system "$work/bare-$1"
  fi
  printf '%s\n' "$tarball"
}

# unpack RELEASE ROOT: a bare root that knows itself and the network's name server.
unpack() {
  local tarball
  tarball=$(bare "$1")
  mkdir "$2"
  as_root tar --numeric-owner -C "$2" -xf "$tarball"
  as_root cp /etc/resolv.conf "$2/etc/resolv.conf"
  printf '127.0.0.1 localhost %s\n::1 localhost\n' "$(uname -n)" | as_root tee "$2/etc/hosts" >/dev/null
}

# enter ROOT USER COMMAND: a shell's command in that root, as that user, with nothing of our environment;
# what it leaves running ends with it.
enter() {
  local root=$1 user=$2 home=/root
  [[ $user == root ]] || home=/home/$user
  # shellcheck disable=SC2016 # these are the inner shell's
  as_root unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sysfs "$1/sys"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/dev/shm"
    if [[ -n $5 ]]; then
      mkdir -p "$1$3/shared"
      mount --bind "$5" "$1$3/shared"
      mount -o remount,bind,ro "$1$3/shared"
    fi
    exec chroot --userspec="$2:$2" "$1" /usr/bin/env -i HOME="$3" USER="$2" LOGNAME="$2" TERM=dumb LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -euc "cd \"\$HOME\"; $4"
  ' - "$root" "$user" "$home" "$3" "$shared" </dev/null
}

# timed WHAT ROOT USER COMMAND: enter, and say how long it took.
timed() {
  local what=$1 start=$SECONDS
  shift
  say "$what ..."
  enter "$@" || { say "$what failed" && return 1; }
  say "$what took $((SECONDS - start)) s"
}

as_root_in() { # as_root_in RELEASE: the two commands as root, then the packages in another bare root
  local root=$work/$1-root
  unpack "$1" "$root"
  as_root cp "$work/lungcdam.bundle" "$root/root/"
  enter "$root" root 'git clone --quiet lungcdam.bundle lungcdam'
  timed "$1, root: ./run demo, downloads included" "$root" root 'cd lungcdam; ./run demo; find demo-out -name "*.png" -size +10k | grep -q .'
  timed "$1, root: $tests" "$root" root "cd lungcdam; $tests"
  timed "$1, root: ./run package" "$root" root 'cd lungcdam; ./run package /root/packages; ls -l /root/packages'
  unpack "$1" "$work/$1-installed"
  as_root cp -r "$root/root/packages" "$work/$1-installed/"
  [[ -n $keep ]] || as_root rm -rf --one-file-system "$root"
  timed "$1: packages installed and used in a bare root" "$work/$1-installed" root '
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends /packages/lungcdam_*.deb /packages/liblungcdam[0-9]*.deb >/dev/null
    lungcdam --version
    lungcdam phantom -o phantom --seed 3 --patients 1
    lungcdam run --input phantom --output results
    find results -name "*.png" -size +10k | grep -q .'
  [[ -n $keep ]] || as_root rm -rf --one-file-system "$work/$1-installed"
}

as_user_in() { # as_user_in RELEASE: the two commands as a user with sudo
  local root=$work/$1-user
  unpack "$1" "$root"
  enter "$root" root '
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq; apt-get install -y -qq --no-install-recommends sudo; } >/dev/null
    useradd --create-home --user-group tester
    echo "tester ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/tester'
  as_root cp "$work/lungcdam.bundle" "$root/home/tester/"
  enter "$root" tester 'git clone --quiet lungcdam.bundle lungcdam'
  timed "$1, user with sudo: ./run demo, downloads included" "$root" tester 'cd lungcdam; ./run demo; find demo-out -name "*.png" -size +10k | grep -q .'
  timed "$1, user with sudo: $tests" "$root" tester "cd lungcdam; $tests"
  [[ -n $keep ]] || as_root rm -rf --one-file-system "$root"
}

for release in "${releases[@]}"; do
  for way in "${ways[@]}"; do "as_${way}_in" "$release"; done
done
say "all of it went well: ${releases[*]}, as ${ways[*]}"
