#!/bin/sh
# Makes .venv: Python 3.10, what requirements.lock names, and this package from its sources; then
# fetches the pretrained weights into the user's directory (~/.rasa-onramp).
# Needs uv, or any Python 3 to install uv with, or curl or wget; uv fetches Python 3.10 if need be.
# `scripts/environment.sh uv ARGUMENTS` runs that uv alone.
set -eu
cd "$(dirname "$0")/.."
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME CONDA_PREFIX

works() { "$@" >/dev/null 2>&1; }

say() { echo "environment: $*" >&2; }

fetch_installer() {
    url=https://astral.sh/uv/install.sh
    if works command -v curl; then curl -LsSf "$url"; else wget -qO- "$url"; fi
}

# A shim may be on the PATH and still not run, hence `works`.
find_uv() {
    for uv in .uv/bin/uv uv; do
        if works "$uv" --version; then return; fi
    done
    uv=.uv/bin/uv
    say "no uv on the PATH, so installing one into .uv"
    rm -rf .uv
    if works python3 -m venv .uv && .uv/bin/python -m pip install --quiet uv >&2; then
        works "$uv" --version && return
    fi
    rm -rf .uv # Debian's python3 without python3-venv leaves half of it
    if fetch_installer | env UV_INSTALL_DIR=.uv/bin UV_NO_MODIFY_PATH=1 sh >&2; then
        works "$uv" --version && return
    fi
    say "can't install uv; see https://docs.astral.sh/uv/getting-started/installation/"
    exit 1
}

# pyenv hides the versions it isn't told to use, so they are looked up where it keeps them.
find_python() {
    python=$("$uv" python find --quiet --system --no-python-downloads 3.10 2>/dev/null) && return
    pyenv_root=$(pyenv root 2>/dev/null) || pyenv_root=${PYENV_ROOT:-${HOME:-}/.pyenv}
    for python in "$pyenv_root"/versions/3.10.*/bin/python3.10; do
        if works "$python" -c "import ssl, sqlite3"; then return; fi
    done
    python=3.10
    say "no Python 3.10 here, so uv downloads one"
}

find_uv
if [ "${1:-}" = uv ]; then
    shift
    exec "$uv" "$@"
fi

if ! works .venv/bin/python -c "import sys; sys.exit(sys.version_info[:2] != (3, 10))"; then
    find_python
    "$uv" venv --quiet --clear --python "$python" .venv
fi
# One download at a time may take a while: the lock holds several large wheels.
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}"
if [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
    say "installing what requirements.lock names"
    "$uv" pip sync --quiet --python .venv --require-hashes requirements.lock
    "$uv" pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
else
    say "requirements.lock is for Linux on x86-64, so resolving setup.py's ranges instead"
    "$uv" pip install --quiet --python .venv --editable ".[all]"
fi

# Fetched apart: without the replies' language model everything else still works.
say "fetching the pretrained weights, unless they are here"
PATH="$PWD/.uv/bin:$PATH" .venv/bin/python -m rasa_onramp.cli weights >&2 ||
    say "going on without them; 'rasa-onramp weights' tries again"
