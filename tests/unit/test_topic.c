/* Strings, topic names and filters by example; tests/unit/matcher enumerates them. */
#include "topic.h"

#include "unit.h"

static enum midge_reason check_topic(const char *text, uint32_t levels)
{
    uint32_t size = (uint32_t)strlen(text);
    uint8_t *bytes = unit_copy(text, size);
    enum midge_reason reason = midge_topic_check(bytes, size, levels);
    free(bytes);
    return reason;
}

static enum midge_reason check_filter(const char *text, uint32_t levels)
{
    uint32_t size = (uint32_t)strlen(text);
    uint8_t *bytes = unit_copy(text, size);
    enum midge_reason reason = midge_filter_check(bytes, size, levels);
    free(bytes);
    return reason;
}

static void topics(void **state)
{
    (void)state;
    assert_int_equal(check_topic("a", 1), MIDGE_NONE);
    assert_int_equal(check_topic("/", 2), MIDGE_NONE);
    assert_int_equal(check_topic("$SYS/broker", 2), MIDGE_NONE);
    assert_int_equal(check_topic("a b/\xc3\xa4", 2), MIDGE_NONE);
    assert_int_equal(check_topic("", 1), MIDGE_TOPIC_EMPTY);
    assert_int_equal(check_topic("a/+", 2), MIDGE_TOPIC_WILDCARD);
    assert_int_equal(check_topic("a#", 2), MIDGE_TOPIC_WILDCARD);
    assert_int_equal(check_topic("a/b/c", 3), MIDGE_NONE);
    assert_int_equal(check_topic("a/b/c", 2), MIDGE_TOPIC_LEVELS);
    assert_int_equal(check_topic("a/\xff", 2), MIDGE_BAD_UTF8);
    assert_int_equal(midge_topic_check((const uint8_t *)"a\0b", 3, 1), MIDGE_NUL_CHARACTER);
}

static void filters(void **state)
{
    (void)state;
    assert_int_equal(check_filter("#", 1), MIDGE_NONE);
    assert_int_equal(check_filter("+", 1), MIDGE_NONE);
    assert_int_equal(check_filter("+/tennis/#", 3), MIDGE_NONE);
    assert_int_equal(check_filter("/+", 2), MIDGE_NONE);
    assert_int_equal(check_filter("", 1), MIDGE_TOPIC_EMPTY);
    assert_int_equal(check_filter("sport/tennis#", 3), MIDGE_FILTER_WILDCARD);
    assert_int_equal(check_filter("sport/tennis/#/ranking", 9), MIDGE_FILTER_WILDCARD);
    assert_int_equal(check_filter("sport+", 9), MIDGE_FILTER_WILDCARD);
    assert_int_equal(check_filter("++", 9), MIDGE_FILTER_WILDCARD);
    assert_int_equal(check_filter("#/", 9), MIDGE_FILTER_WILDCARD);
    assert_int_equal(check_filter("a/+/#", 3), MIDGE_NONE);
    assert_int_equal(check_filter("a/+/#", 2), MIDGE_TOPIC_LEVELS);
    assert_int_equal(check_filter("a/\xc0\xaf", 2), MIDGE_BAD_UTF8);
    assert_int_equal(midge_filter_check((const uint8_t *)"\0", 1, 1), MIDGE_NUL_CHARACTER);
}

static void levels(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"ab//c/";
    assert_int_equal(midge_level_size(text, 6, 0), 2);
    assert_int_equal(midge_level_size(text, 6, 3), 0);
    assert_int_equal(midge_level_size(text, 6, 4), 1);
    assert_int_equal(midge_level_size(text, 6, 6), 0);
    assert_int_equal(midge_level_size(text, 1, 0), 1);
}

/* Something special at each place of strings that are checked four bytes at a time. */
static void specials_at_every_place(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t size;
        enum midge_reason reason;
    } specials[] = {
        {"\0", 1, MIDGE_NUL_CHARACTER},
        {"\x7f", 1, MIDGE_NONE},
        {"\x01", 1, MIDGE_NONE},
        {"\x80", 1, MIDGE_BAD_UTF8},
        {"\xc3\xbf", 2, MIDGE_NONE},
        {"\xe2\x82\xac", 3, MIDGE_NONE},
        {"\xef\xbb\xbf", 3, MIDGE_NONE},
        {"\xed\xa0\x80", 3, MIDGE_BAD_UTF8},
        {"\xef\xbf\xbf", 3, MIDGE_NONE},
        {"\xf0\x9f\xa6\x9f", 4, MIDGE_NONE},
        {"\xf4\x90\x80\x80", 4, MIDGE_BAD_UTF8},
    };
    for (uint32_t i = 0; i < UNIT_COUNT(specials); i++) {
        for (uint32_t size = specials[i].size; size <= 13; size++) {
            for (uint32_t at = 0; at + specials[i].size <= size; at++) {
                uint8_t *string = unit_memory(size);
                memset(string, 'x', size);
                memcpy(string + at, specials[i].bytes, specials[i].size);
                assert_int_equal(midge_string_check(string, size), specials[i].reason);
                free(string);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics),
        cmocka_unit_test(filters),
        cmocka_unit_test(levels),
        cmocka_unit_test(specials_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
