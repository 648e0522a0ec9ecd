# Sourced by the scripts: plain progress on standard error, coloured on a terminal only.
if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
  _bold=$'\e[1m' _green=$'\e[32m' _red=$'\e[31m' _yellow=$'\e[33m' _dim=$'\e[2m' _plain=$'\e[0m'
else
  _bold='' _green='' _red='' _yellow='' _dim='' _plain=''
fi
say() { printf '%s\n' "${_green}✓${_plain} $*" >&2; }
step() { printf '%s\n' "${_bold}→${_plain} $*" >&2; }
warn() { printf '%s\n' "${_yellow}!${_plain} $*" >&2; }
die() {
  printf '%s\n' "${_red}✗${_plain} $*" >&2
  exit 1
}
