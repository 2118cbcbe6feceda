#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char begin_marker[] = "<!-- conformance:begin -->\n";
static const char end_marker[] = "<!-- conformance:end -->";

static bool read_text(const char *path, struct buffer *text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    char piece[4096];
    for (size_t size = fread(piece, 1, sizeof piece, file); size > 0; size = fread(piece, 1, sizeof piece, file)) {
        buffer_add(text, piece, size);
    }
    buffer_add_byte(text, 0);
    text->size--;
    (void)fclose(file);
    return true;
}

static void add_text(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* A title without the ids in front of it. */
static const char *bare_title(const char *title)
{
    while (*title == '[') {
        const char *end = strchr(title, ']');
        if (end == NULL) {
            break;
        }
        title = end + 1 + strspn(end + 1, " ");
    }
    return title;
}

/* Whether `title` bears exactly this id in brackets. */
static bool bears(const char *title, const char *id)
{
    size_t size = strlen(id);
    for (const char *at = strchr(title, '['); at != NULL; at = strchr(at + 1, '[')) {
        if (strncmp(at + 1, id, size) == 0 && at[1 + size] == ']') {
            return true;
        }
    }
    return false;
}

/* One line of statements.txt: `id | who | statement | why there is no test`, the last field only where there is none. */
struct row {
    const char *id, *who, *statement, *why;
};

static char *take_field(char **line)
{
    char *field = *line;
    if (field == NULL) {
        return (char *)(uintptr_t) "";
    }
    char *end = strchr(field, '|');
    *line = end != NULL ? end + 1 : NULL;
    if (end != NULL) {
        *end = '\0';
    }
    field += strspn(field, " ");
    for (size_t size = strlen(field); size > 0 && field[size - 1] == ' '; size--) {
        field[size - 1] = '\0';
    }
    return field;
}

static size_t add_row(const struct script *script, const struct row *row, struct buffer *out)
{
    size_t count = 0;
    add_text(out, "| ");
    add_text(out, row->id);
    add_text(out, " | ");
    add_text(out, row->who);
    add_text(out, " | ");
    add_text(out, row->statement);
    add_text(out, " | ");
    for (size_t i = 0; i < script->count; i++) {
        const struct scenario *scenario = &script->scenarios[i];
        if (bears(scenario->title, row->id)) {
            add_text(out, count++ > 0 ? "<br>" : "");
            buffer_add(out, scenario->file, strcspn(scenario->file, "."));
            add_text(out, ": ");
            add_text(out, bare_title(scenario->title));
        }
    }
    if (count == 0) {
        add_text(out, "*no scenario:* ");
        add_text(out, row->why);
    }
    add_text(out, " |\n");
    return count;
}

/* Every id in a title must be one of the statements. */
static bool ids_are_known(const struct script *script, const struct row *rows, size_t row_count)
{
    bool known = true;
    for (size_t i = 0; i < script->count; i++) {
        const char *title = script->scenarios[i].title;
        if (*title != '[') {
            (void)fprintf(stderr, "%s:%d: the title names no statement\n", script->scenarios[i].file,
                          script->scenarios[i].line);
            known = false;
        }
        while (*title == '[') {
            size_t size = strcspn(title + 1, "]");
            size_t r = 0;
            while (r < row_count && (strlen(rows[r].id) != size || strncmp(rows[r].id, title + 1, size) != 0)) {
                r++;
            }
            if (r == row_count) {
                (void)fprintf(stderr, "%s:%d: no statement %.*s\n", script->scenarios[i].file, script->scenarios[i].line,
                              (int)size, title + 1);
                known = false;
            }
            title += size + 1;
            title += *title == ']' ? 1 : 0;
            title += strspn(title, " ");
        }
    }
    return known;
}

static bool make_table(const struct script *script, char *statements, struct buffer *out)
{
    struct row rows[512];
    size_t row_count = 0;
    bool right = true;
    size_t covered = 0;
    add_text(out, "| statement | who | what it says | scenarios |\n|---|---|---|---|\n");
    for (char *line = statements; line != NULL && *line != '\0';) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *rest = line;
        line = next;
        if (*rest == '#' || *rest == '\0' || row_count == sizeof rows / sizeof *rows) {
            continue;
        }
        struct row *row = &rows[row_count++];
        row->id = take_field(&rest);
        row->who = take_field(&rest);
        row->statement = take_field(&rest);
        row->why = take_field(&rest);
        size_t count = add_row(script, row, out);
        covered += count > 0 ? 1 : 0;
        if ((count == 0) == (row->why[0] == '\0')) {
            (void)fprintf(stderr, "%s: %s\n", row->id,
                          count == 0 ? "has neither a scenario nor a reason" : "has a scenario and a reason");
            right = false;
        }
    }
    char sum[120];
    (void)snprintf(sum, sizeof sum, "\n%zu scenarios; %zu of %zu statements are tested.\n", script->count, covered, row_count);
    add_text(out, sum);
    return ids_are_known(script, rows, row_count) && right;
}

static bool write_between(const char *path, const char *text, const char *begin, const char *end, const struct buffer *table)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    (void)fwrite(text, 1, (size_t)(begin - text), file);
    (void)fwrite(table->bytes, 1, table->size, file);
    (void)fputs(end, file);
    return fclose(file) == 0;
}

bool table_update(const struct script *script, const char *statements, const char *readme, bool check)
{
    struct buffer rows = {0};
    struct buffer text = {0};
    struct buffer table = {0};
    bool right = read_text(statements, &rows) && read_text(readme, &text) && make_table(script, (char *)rows.bytes, &table);
    if (right) {
        const char *all = (const char *)text.bytes;
        const char *begin = strstr(all, begin_marker);
        begin = begin != NULL ? begin + sizeof begin_marker - 1 : NULL;
        const char *end = begin != NULL ? strstr(begin, end_marker) : NULL;
        if (end == NULL) {
            (void)fprintf(stderr, "%s: has no markers for the table\n", readme);
            right = false;
        } else if (!check) {
            right = write_between(readme, all, begin, end, &table);
        } else if ((size_t)(end - begin) != table.size || memcmp(begin, table.bytes, table.size) != 0) {
            (void)fprintf(stderr, "%s: the table is out of date; run: conformance --table %s %s SCENARIOS\n", readme,
                          statements, readme);
            right = false;
        }
    }
    buffer_free(&rows);
    buffer_free(&text);
    buffer_free(&table);
    return right;
}
