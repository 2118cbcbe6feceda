# Puts the table of midge --options, the file `options`, where midge.conf.5.in says @OPTIONS@.
# A text as roff takes it: each sentence on a line of its own, none of which may look like a request.
function prose(text) {
    gsub(/\\/, "\\e", text)
    gsub(/\. +/, ".\n", text)
    gsub(/ \.\.\n/, " .. ", text) # a range
    if (text ~ /^[.']/) {
        text = "\\&" text
    }
    return text ~ /\.$/ ? text : text "."
}

function insert_options(  line, at) {
    while ((getline line < options) > 0) {
        if (line ~ /^ /) {
            sub(/^ +/, "", line)
            print prose(line)
            continue
        }
        at = index(line, "  (")
        print ".It Cm " substr(line, 1, at - 1)
        print prose("Valid: " substr(line, at + 3, length(line) - at - 3))
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
