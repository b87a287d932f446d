# Sourced by scripts/demo and scripts/test: makes the project's own virtual environment and installs
# into it. Needs Python 3.11+ and git; everything else comes from PyPI. Does nothing when up to date.
#
# usage: . scripts/bootstrap.sh EXTRAS     (EXTRAS: "" or "[dev]")

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
extras="${1-}"

find_python() {
    local name
    for name in "${PYTHON-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            command -v "$name"
            return
        fi
    done
    echo "error: Python 3.11 or newer (with the venv module) was not found on PATH." >&2
    echo "       Install it (Debian: apt install python3 python3-venv) or set PYTHON=/path/to/python3." >&2
    exit 12
}

command -v git >/dev/null 2>&1 || {
    echo "error: git was not found on PATH. Install it (Debian: apt install git)." >&2
    exit 12
}

# What is installed is named by the project file and the extras: a change of either reinstalls.
stamp="$venv/.installed"
want="$(cat "$root/pyproject.toml" "$root/ouroboros/__init__.py"; echo "$root $extras")"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python="$(find_python)" || exit 12
    echo "Making $venv with $python ..." >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    case "$(cat "$stamp" 2>/dev/null)" in
        *"[dev]") [ -n "$extras" ] || extras="[dev]" ;; # never take the test tools away again
    esac
    want="$(cat "$root/pyproject.toml" "$root/ouroboros/__init__.py"; echo "$root $extras")"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        echo "Installing Ouroboros into $venv (once) ..." >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root$extras"
        printf '%s\n' "$want" >"$stamp"
    fi
fi
