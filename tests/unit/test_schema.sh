#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_schema.sh - docs/schema: is what hack/schema writes, and accepts and refuses what bermctl does, on thousands of
# documents with random mistakes. The seed is printed; SEED= repeats it, COUNT= or BERM_LONG=1 makes more. timeout: 900
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BERM_BUILD:-$TOP/build}

if ! "$TOP/hack/schema" --check; then
	echo "Bail out! docs/schema is stale: run hack/schema"
	exit 1
fi
exec python3 -B "$TOP/tests/unit/schema_cases.py" "$BUILD/bermctl"
