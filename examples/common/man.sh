#!/bin/sh
# man.sh PROGRAM VERSION: the manual page of a program, in troff, from what its --help prints.
program=$1 version=$2
"$program" --help | awk -v name="$(basename "$program")" -v version="$version" '
    function troff(s) { gsub(/\\/, "\\\\e", s); gsub(/-/, "\\-", s); sub(/^[.\x27]/, "\\\\\\&&", s); return s }
    function option(s,    at) { # "  --live N     live points": the option, then what it does
        sub(/^ +/, "", s)
        at = match(s, /  +| +$/)
        print ".TP\n.B " troff(at ? substr(s, 1, at - 1) : s)
        if (at) { sub(/^ +/, "", s); rest = substr(s, at); sub(/^ +/, "", rest); if (rest != "") print troff(rest) }
    }
    NR == 1 {
        sub(/^usage: /, "")
        usage = $0
        next
    }
    NR == 2 {
        line = $0
        sub(/\.$/, "", line)
        printf ".TH %s 1 \"\" \"bml %s\" \"User Commands\"\n.SH NAME\n%s \\- %s\n", toupper(name), version, name, troff(line)
        print ".SH SYNOPSIS\n.B " troff(usage) "\n.SH DESCRIPTION"
    }
    /^  --/ {
        if (!options++) print ".SH OPTIONS"
        option($0)
        next
    }
    /^$/ { if (!options) print ".PP"; next }
    { sub(/^ +/, ""); print troff($0) }
    END { print ".SH SEE ALSO\nREADME.md of bml, and the headers bml_*.h, which have the physics and mathematics." }'
