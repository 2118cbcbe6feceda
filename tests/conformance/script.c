#include "script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the reader is: one file, and the loops that surround a line. */
struct loop {
    char name[16];
    unsigned long value;
};

struct reader {
    struct script *script;
    const char *file;
    char **lines;
    int line_count;
    struct loop loops[4];
    size_t loop_count;
};

static void complain(const struct reader *reader, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: %s\n", reader->file, line, what);
    exit(2);
}

static void *grown(void *array, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity * 2 + 16;
    array = realloc(array, *capacity * item_size);
    if (array == NULL) {
        exit(2);
    }
    return array;
}

/* The byte that `\xHH`, `\"` or `\\` stands for; moves *text behind it. */
static unsigned escape(const struct reader *reader, int line, const char **text)
{
    const char *at = *text + 1;
    if (*at == 'x' && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2])) {
        char digits[3] = {at[1], at[2], '\0'};
        *text = at + 3;
        return (unsigned)strtoul(digits, NULL, 16);
    }
    if (*at != '"' && *at != '\\') {
        complain(reader, line, "only \\xHH, \\\" and \\\\ are known");
    }
    *text = at + 1;
    return (unsigned char)*at;
}

/* A quoted part of a word, with a repetition `*N` behind it. */
static void quoted(const struct reader *reader, int line, const char **text, struct buffer *out)
{
    struct buffer part = {0};
    const char *at = *text + 1;
    while (*at != '"') {
        if (*at == '\0') {
            complain(reader, line, "quote without an end");
        }
        if (*at == '\\') {
            buffer_add_byte(&part, escape(reader, line, &at));
        } else {
            buffer_add_byte(&part, (unsigned char)*at++);
        }
    }
    at++;
    unsigned long times = 1;
    if (*at == '*') {
        char *end;
        times = strtoul(at + 1, &end, 10);
        at = end;
    }
    while (times-- > 0) {
        buffer_add(out, part.bytes, part.size);
    }
    buffer_free(&part);
    *text = at;
}

/* `@N`: N bytes that differ from place to place, so that a lost or doubled piece shows. */
static void pattern(const char **text, struct buffer *out)
{
    char *end;
    unsigned long size = strtoul(*text + 1, &end, 10);
    for (unsigned long i = 0; i < size; i++) {
        buffer_add_byte(out, (unsigned)(i * 31 + (i >> 8) * 17 + size) & 0xFFu);
    }
    *text = end;
}

static struct word read_word(struct reader *reader, int line, const char **text)
{
    struct arena *arena = &reader->script->arena;
    struct word word = {0};
    struct buffer value = {0};
    bool may_be_key = true;
    const char *at = *text;
    while (*at != '\0' && *at != ' ') {
        if (*at == '"') {
            quoted(reader, line, &at, &value);
            may_be_key = false;
        } else if (*at == '@' && value.size == 0 && isdigit((unsigned char)at[1])) {
            pattern(&at, &value);
        } else if (*at == '=' && may_be_key && value.size > 0) {
            word.key = arena_copy(arena, value.bytes, value.size);
            value.size = 0;
            may_be_key = false;
            at++;
        } else {
            may_be_key = may_be_key && (islower((unsigned char)*at) || isdigit((unsigned char)*at) || *at == '_');
            buffer_add_byte(&value, (unsigned char)*at++);
        }
    }
    word.value = arena_copy(arena, value.bytes, value.size);
    buffer_free(&value);
    *text = at;
    return word;
}

/* Puts the values of the loops into a line: `{n}` and `{n+K}`. */
static char *fill_in(struct reader *reader, int line, const char *text)
{
    struct buffer out = {0};
    while (*text != '\0') {
        if (*text != '{') {
            buffer_add_byte(&out, (unsigned char)*text++);
            continue;
        }
        size_t size = strcspn(text + 1, "+}");
        size_t i = 0;
        while (i < reader->loop_count &&
               (strlen(reader->loops[i].name) != size || memcmp(reader->loops[i].name, text + 1, size) != 0)) {
            i++;
        }
        if (i == reader->loop_count) {
            complain(reader, line, "no loop has this variable");
        }
        char *end;
        unsigned long more = text[1 + size] == '+' ? strtoul(text + 2 + size, &end, 10) : 0;
        char number[24];
        (void)snprintf(number, sizeof number, "%lu", reader->loops[i].value + more);
        buffer_add(&out, number, strlen(number));
        text = strchr(text, '}');
        text += text != NULL ? 1 : 0;
        if (text == NULL) {
            complain(reader, line, "{ without }");
        }
    }
    struct span copy = arena_copy(&reader->script->arena, out.bytes, out.size);
    buffer_free(&out);
    return (char *)(uintptr_t)copy.bytes;
}

static void add_step(struct reader *reader, int line)
{
    struct script *script = reader->script;
    if (script->count == 0 || strcmp(script->scenarios[script->count - 1].file, reader->file) != 0) {
        complain(reader, line, "a step without a scenario");
    }
    struct scenario *scenario = &script->scenarios[script->count - 1];
    struct word words[64];
    size_t count = 0;
    const char *text = fill_in(reader, line, reader->lines[line - 1]);
    text += strspn(text, " ");
    const char *at = text;
    for (; *at != '\0'; at += strspn(at, " ")) {
        if (count == 64) {
            complain(reader, line, "too many words");
        }
        words[count++] = read_word(reader, line, &at);
    }
    if (count == 1 && span_is(words[0].value, "large")) {
        scenario->large = true;
        return;
    }
    struct word *kept = arena_take(&script->arena, count * sizeof *kept);
    memcpy(kept, words, count * sizeof *kept);
    scenario->steps = grown(scenario->steps, scenario->step_count, &scenario->step_capacity, sizeof *scenario->steps);
    scenario->steps[scenario->step_count++] = (struct step){line, text, kept, count};
}

/* The line of the `end` that belongs to the `for` in `line`. */
static int loop_end(const struct reader *reader, int line)
{
    int depth = 0;
    for (int at = line; at <= reader->line_count; at++) {
        const char *text = reader->lines[at - 1] + strspn(reader->lines[at - 1], " ");
        if (strncmp(text, "for ", 4) == 0) {
            depth++;
        } else if (strcmp(text, "end") == 0 && --depth == 0) {
            return at;
        }
    }
    complain(reader, line, "for without end");
    return 0;
}

static void add_title(struct reader *reader, int line)
{
    struct script *script = reader->script;
    script->scenarios = grown(script->scenarios, script->count, &script->capacity, sizeof *script->scenarios);
    const char *title =
        (const char *)arena_copy(&script->arena, reader->lines[line - 1], strlen(reader->lines[line - 1])).bytes;
    script->scenarios[script->count++] = (struct scenario){.file = reader->file, .title = title, .line = line};
}

/* What one open loop still has to do. */
struct pending {
    int first_line;
    int end_line;
    unsigned long last;
};

/* Goes through the lines; a `for` is unrolled here, so that a scenario is a plain list of steps. */
static void read_lines(struct reader *reader)
{
    struct pending pending[4];
    for (int line = 1; line <= reader->line_count; line++) {
        const char *raw = reader->lines[line - 1];
        const char *text = raw + strspn(raw, " ");
        if (*text == '\0' || *text == '#') {
            continue;
        }
        if (text == raw) {
            add_title(reader, line);
        } else if (strncmp(text, "for ", 4) == 0) {
            struct loop *loop = &reader->loops[reader->loop_count];
            struct pending *todo = &pending[reader->loop_count];
            if (reader->loop_count == 4 || sscanf(text, "for %15s %lu..%lu", loop->name, &loop->value, &todo->last) != 3) {
                complain(reader, line, "expected: for NAME FIRST..LAST");
            }
            todo->first_line = line;
            todo->end_line = loop_end(reader, line);
            reader->loop_count++;
        } else if (strcmp(text, "end") == 0) {
            struct pending *todo = reader->loop_count > 0 ? &pending[reader->loop_count - 1] : NULL;
            if (todo == NULL) {
                complain(reader, line, "end without for");
            } else if (++reader->loops[reader->loop_count - 1].value <= todo->last) {
                line = todo->first_line;
            } else {
                reader->loop_count--;
            }
        } else {
            add_step(reader, line);
        }
    }
}

void script_read(struct script *script, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    struct buffer text = {0};
    char piece[4096];
    for (size_t size = fread(piece, 1, sizeof piece, file); size > 0; size = fread(piece, 1, sizeof piece, file)) {
        buffer_add(&text, piece, size);
    }
    buffer_add_byte(&text, 0);
    (void)fclose(file);
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    struct reader reader = {.script = script};
    reader.file = (const char *)arena_copy(&script->arena, name, strlen(name)).bytes;
    size_t capacity = 0;
    for (char *line = (char *)text.bytes; line != NULL;) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        reader.lines = grown(reader.lines, (size_t)reader.line_count, &capacity, sizeof *reader.lines);
        reader.lines[reader.line_count++] = line;
        line = next;
    }
    read_lines(&reader);
    free(reader.lines);
    buffer_free(&text);
}

void script_free(struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        free(script->scenarios[i].steps);
    }
    free(script->scenarios);
    arena_free(&script->arena);
}
