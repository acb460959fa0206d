#!/bin/sh
# Runs every test project that was built, one after the other, and adds up. The last line is "N passed, N failed"; a project that does
# not say how it ended, or that skipped something, counts as a failure. What failed is named before that line, and in TestResults/failed,
# so that the end of a long log is enough to know.
cd "$(dirname "$0")/.." || exit 1
configuration=${CONFIGURATION:-Release}
results=TestResults
rm -rf "$results"
mkdir -p "$results"
passed=0
failed=0
for project in tests/*/*.csproj; do
    folder=$(dirname "$project")
    name=$(basename "$folder")
    grep -rqE '\[(Fact|Theory)' --include='*.cs' "$folder" || continue
    log="$results/$name.log"
    echo "--- $name"
    dotnet test "$project" -c "$configuration" --no-build --nologo -v q --logger "console;verbosity=minimal" --logger "trx;LogFileName=$PWD/$results/$name.trx" >"$log" 2>&1
    status=$?
    counters=$(grep -o '<Counters [^>]*>' "$results/$name.trx" 2>/dev/null)
    count() { echo "$counters" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
    good=$(count passed) total=$(count total)
    if [ -z "$counters" ]; then
        cat "$log"
        echo "$name: no result (dotnet test ended with $status)"
        echo "$name: no result" >>"$results/failed"
        failed=$((failed + 1))
        continue
    fi
    bad=$((total - good))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "$name: no test failed, and yet dotnet test ended with $status" >>"$results/failed"
    fi
    if [ "$bad" -gt 0 ]; then
        cat "$log"
        # The head of each failure: its name and the first lines of what it said.
        awk -v project="$name" '
            /<UnitTestResult / { failed = /outcome="Failed"/; if (failed) { match($0, / testName="[^"]*"/); print project ": " substr($0, RSTART + 11, RLENGTH - 12) } }
            failed && /<Message>/ { message = 1; shown = 0 }
            failed && message { line = $0; gsub(/<[^>]*>/, "", line); if (shown++ < 12) print "    " substr(line, 1, 300) }
            /<\/Message>/ { message = 0 }' "$results/$name.trx" >>"$results/failed"
    fi
    echo "$name: $good passed, $bad failed"
    passed=$((passed + good))
    failed=$((failed + bad))
done
cat "$results/failed" 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
