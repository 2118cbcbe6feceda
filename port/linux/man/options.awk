# Puts the table of midge --options, the file `options`, where midge.conf.5.in says @OPTIONS@.
function escaped(text) {
    gsub(/\\/, "\\e", text)
    if (text ~ /^[.']/) {
        text = "\\&" text
    }
    return text
}

function insert_options(  line, at) {
    while ((getline line < options) > 0) {
        if (line ~ /^ /) {
            sub(/^ +/, "", line)
            print escaped(line)
            continue
        }
        at = index(line, "  (")
        print ".It Cm " substr(line, 1, at - 1)
        print escaped("Valid: " substr(line, at + 3, length(line) - at - 3) ".")
        print ".br"
    }
}

$0 == "@OPTIONS@" {
    insert_options()
    next
}

{
    print
}
