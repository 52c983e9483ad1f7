#!/bin/sh
# Set the project up inside its own folder:
#   deploy/setup.sh python    .venv, with the packages of requirements.lock and yui itself
#   deploy/setup.sh node      node_modules, with solc, anvil, forge and the contract libraries
#   deploy/setup.sh debian    for the tests, where it may: PostgreSQL, Chromium, fonts
# Asked for by the Makefile, and only when a lock has changed. PYTHON names an interpreter.
set -eu
cd "$(dirname "$0")/.."

stop() {
    echo "$1" >&2
    exit 1
}

# Is the interpreter new enough, and can it make a virtual environment with pip in it?
suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

suitable_python() {
    if [ -n "${PYTHON:-}" ]; then
        suits "$PYTHON" && echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.12 python3.11 python3.13 python3.14; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

python_packages() {
    if ! cmp -s requirements.lock .venv/requirements.lock || ! .venv/bin/python -c ''; then
        python=$(suitable_python) || stop "Yui needs Python 3.11 or newer with its venv module, \
and ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>/dev/null || echo missing): \
install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python) or \
name one with make PYTHON=/path/to/python3."
        echo "Python packages: $(grep -c '==' requirements.lock) into .venv, a minute or two ..."
        "$python" -m venv --clear .venv
        # Modules are compiled when first used: compiling all takes longer than unpacking them.
        # The lock is complete. Left to resolve, pip may take a newer release of what another
        # package asks for with an extra, and then refuses it for having no hash.
        pip_install --no-deps --require-hashes --requirement requirements.lock
        cp requirements.lock .venv/
    fi
    # Setuptools warns that it is an editable installation.
    PYTHONWARNINGS=ignore pip_install --no-deps --no-build-isolation --editable .
    touch .venv/ready
}

pip_install() {
    .venv/bin/python -m pip install --quiet --no-compile --no-input --disable-pip-version-check "$@"
}

node_packages() {
    command -v node >/dev/null && command -v npm >/dev/null ||
        stop "Yui needs Node 20 or newer with npm, and found none: install it (from nodejs.org; \
Debian, Ubuntu: apt install nodejs npm; macOS: brew install node)."
    version=$(node --version)
    major=${version#v}
    [ "${major%%.*}" -ge 20 ] ||
        stop "Yui needs Node 20 or newer, and found $version: install a newer one (from \
nodejs.org; macOS: brew install node)."
    if ! cmp -s package-lock.json node_modules/package-lock.json; then
        echo "Node packages: solc, anvil, forge and contract libraries into node_modules ..."
        npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
        cp package-lock.json node_modules/
    fi
    touch node_modules/ready
}

# Tests that miss one of these are skipped, and say so. Nothing is started: RUNLEVEL=1 tells
# Debian's packages not to.
debian_packages() {
    missing=
    for package in postgresql mosquitto chromium libpango-1.0-0 libpangoft2-1.0-0 fonts-ipafont-gothic; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "Some tests need packages that only root may install: apt install$missing"
        return 0
    fi
    echo "Debian's packages for the tests:$missing ..."
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing; } \
        >/dev/null 2>&1 || echo "They could not be installed: the tests that need them are skipped."
}

case "${1:-}" in
    python) python_packages ;;
    node) node_packages ;;
    debian) if command -v apt-get >/dev/null; then debian_packages; fi ;;
    *) stop "usage: deploy/setup.sh python|node|debian" ;;
esac
