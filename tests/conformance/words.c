#include "run.h"

#include <stdlib.h>
#include <string.h>

const struct word *step_key(const struct step *step, const char *key)
{
    for (size_t i = 0; i < step->word_count; i++) {
        if (step->words[i].key.size > 0 && span_is(step->words[i].key, key)) {
            return &step->words[i];
        }
    }
    return NULL;
}

bool step_flag(const struct step *step, size_t from, const char *word)
{
    for (size_t i = from; i < step->word_count; i++) {
        if (step->words[i].key.size == 0 && span_is(step->words[i].value, word)) {
            return true;
        }
    }
    return false;
}

bool span_number(struct span span, unsigned base, unsigned long *number)
{
    char text[32];
    char *end;
    if (span.size == 0 || span.size >= sizeof text) {
        return false;
    }
    memcpy(text, span.bytes, span.size);
    text[span.size] = '\0';
    *number = strtoul(text, &end, (int)base);
    return *end == '\0';
}

unsigned long step_number(const struct run *run, const struct word *word)
{
    struct span value = word->value;
    if (value.size > 1 && value.bytes[0] == '$') {
        struct span name = {value.bytes + 1, value.size - 1};
        for (const struct binding *binding = run->world.bindings; binding != NULL; binding = binding->next) {
            if (span_equal(binding->name, name)) {
                return binding->id;
            }
        }
        run_misread(run, "this name is not bound yet");
    }
    unsigned long number = 0;
    if (!span_number(value, 0, &number)) {
        run_misread(run, "expected a number");
    }
    return number;
}

unsigned long step_key_number(const struct run *run, const char *key, unsigned long otherwise)
{
    const struct word *word = step_key(run->step, key);
    return word != NULL ? step_number(run, word) : otherwise;
}
