#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The version: of a release archive what it was made as, in a clone VERSION with the commit it stands at, else VERSION.
cd "$(dirname "$0")" || exit 1
if [ -f .tarball-version ]; then
    cat .tarball-version
elif commit=$(git rev-parse --short=8 HEAD 2>/dev/null) && [ -e .git ]; then
    printf '%s+git%s.%s\n' "$(cat VERSION)" "$(git rev-list --count HEAD)" "$commit"
else
    cat VERSION
fi
