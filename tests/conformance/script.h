/* Reads scenario files. README.md in this folder describes their language; this file knows only its words, not their meaning.
 */
#ifndef CONFORMANCE_SCRIPT_H
#define CONFORMANCE_SCRIPT_H

#include "util.h"

/* A word of a step. `key=value` is split where the key is made of small letters, digits and _; else the key is empty. Quotes,
 * escapes, repetitions and patterns are already resolved in the value. */
struct word {
    struct span key;
    struct span value;
};

struct step {
    int line;
    const char *text; /* the line as written, loop variables filled in */
    const struct word *words;
    size_t word_count;
};

struct scenario {
    const char *file; /* without its folder */
    const char *title;
    int line;
    bool large; /* `large`: too large for the sweep of every pool, and for input byte by byte in every form */
    struct step *steps;
    size_t step_count;
    size_t step_capacity;
};

struct script {
    struct arena arena;
    struct scenario *scenarios;
    size_t count;
    size_t capacity;
};

/* Adds the scenarios of one file. Ends the program with a message where the file cannot be read. */
void script_read(struct script *script, const char *path);
void script_free(struct script *script);

#endif
