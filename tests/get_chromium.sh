#!/bin/sh
# A Chromium for the browser tests: the one that is there, else Debian's (as root), else Playwright's own.
# Where none can be had, the browser tests are skipped by name (or fail, with REQUIRE_BROWSER=1).
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
"${RUN:-python3}" -m playwright install chromium || echo "no Chromium could be had: browser tests will be skipped" >&2
exit 0
