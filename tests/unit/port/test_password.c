/* Passwords: the formats of Mosquitto, against the vectors of others and lines that Debian's mosquitto_passwd has made. */
#include "password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *text, const char *given)
{
    struct midge_password password;
    struct midge_password_key key;
    assert_null(midge_password_parse(&password, text));
    if (password.iterations == 0) {
        return midge_password_matches(&password, (const uint8_t *)given, strlen(given));
    }
    midge_password_prepare(&key, (const uint8_t *)given, strlen(given));
    return midge_password_matches_key(&password, &key, NULL);
}

/* Made by mosquitto_passwd 2.0.11 for "secret1", and with -H sha512 for "x". */
#define PBKDF2_LINE                                                                                                            \
    "$7$101$eu+7IeWspiGp3X/Q$CFKhkpI5gLvT/za52jpt8SQoJdj4WwuaQ1mECO045SD28dZ1ctn4zowICTF2NKaJyfaQLNiRNBeJBxg8uOuDag=="
#define SHA512_LINE                                                                                                            \
    "$6$eW68lAcW917vhyUq$bfHudv6sxqgeg1s2vu7ojh7XoWCpWXqwOvAnECOkt8N+rzeJRx08b5TmfdZHC1fWUQx/jfEu+PRp9zjIluSG/w=="

static void lines_of_mosquitto_passwd_match(void **state)
{
    (void)state;
    assert_true(matches(PBKDF2_LINE, "secret1"));
    assert_false(matches(PBKDF2_LINE, "secret2"));
    assert_false(matches(PBKDF2_LINE, ""));
    assert_true(matches(SHA512_LINE, "x"));
    assert_false(matches(SHA512_LINE, "xx"));
    assert_false(matches(SHA512_LINE, ""));
}

/* PBKDF2-HMAC-SHA-512 as Python's hashlib computes it, with passwords on both sides of a block of the hash. */
static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    char text[MIDGE_PASSWORD_TEXT_SIZE];
    char longest[301];
    static const struct {
        size_t size;
        uint32_t iterations;
        const char *expected;
    } vectors[] = {
        {0, 1, "$7$1$c2FsdA==$AO9Czb/JjSnbIJdmCORVVn/d3xQfbrA7WoWt3SWXT10jdb1QgrgD6PTPqIrhvSUlb8vd0jGGdlZv8nl3kjAq7g=="},
        {1, 2, "$7$2$c2FsdA==$T69Q4XfWds/gFFDvSjoWNgZQjoUG0/ml98aJPwELg9jv/hN+fkcX2p+46/CeahRHK+NI7LKfWOGtUrHIqbB37g=="},
        {127, 3, "$7$3$c2FsdA==$J8YZeOJjvor7s/Pog4H+rHgimtmK9kp+4aGjwVQn7vP3dmL6rs3QG4qq3iNZ30rBrMPq+/keJz6f+eXzx+um8A=="},
        {128, 3, "$7$3$c2FsdA==$rplnKWup8/8FWCtKeOWcG7G/E1qoL2lZsD/V5h+N63Gm4xq6SlHYV4l8qGHlvjpxX8pcsF0Ps9mSVOXv+haORw=="},
        {129, 3, "$7$3$c2FsdA==$/Be+VJCZGMAarC3iLqRXMn/cC3C3MM75zkkEoVeUZ9yHWE3b/M9cn0SOFDbusK/bmVckdq+m/hifGsVPcIscHw=="},
        {300, 1000,
         "$7$1000$c2FsdA==$Hyixe78iJcusfzcmIeQHveax0g+W0lPm9r5N6JRTrWdeIXeGOwf0+gMTY9TfD8rAHVPNE3L3v2/YjfTFbuMOOA=="},
        {5, 257, "$7$257$c2FsdA==$gyqGCvOZDqoWnf7BimvZkW657C8nFPua4Um0KDoeebw7cQzjE2L6MEgw+yCdEjjyJU/9+cObN43sUvZRxU6JyQ=="},
        {200, 0, "$6$c2FsdA==$BmwABOwNUyfE32UIPJSLclJheOqnv7xFnJPgKOTtxz8HaOBwpDxexC+8HJdYEKbGnKWLanRk56VE0jMwb5ZXqA=="},
    };
    memset(longest, 'p', sizeof(longest));
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct midge_password password = {.iterations = vectors[i].iterations, .salt_size = 4, .salt = {'s', 'a', 'l', 't'}};
        midge_password_hash(&password, (const uint8_t *)longest, vectors[i].size);
        midge_password_print(&password, text);
        assert_string_equal(text, vectors[i].expected);
        longest[vectors[i].size] = '\0';
        assert_true(matches(text, longest));
        longest[vectors[i].size] = 'p';
        assert_false(matches(text, "q"));
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct midge_password password, again;
    char text[MIDGE_PASSWORD_TEXT_SIZE];
    assert_null(midge_password_parse(&password, PBKDF2_LINE));
    midge_password_print(&password, text);
    assert_string_equal(text, PBKDF2_LINE);
    memset(&password, 0xA5, sizeof(password));
    password.salt_size = MIDGE_SALT_MAX;
    password.iterations = MIDGE_ITERATIONS_MAX;
    midge_password_print(&password, text);
    assert_null(midge_password_parse(&again, text));
    assert_memory_equal(password.salt, again.salt, MIDGE_SALT_MAX);
    assert_memory_equal(password.hash, again.hash, MIDGE_HASH_SIZE);
    assert_int_equal(again.iterations, MIDGE_ITERATIONS_MAX);
}

static void a_hash_can_be_stopped(void **state)
{
    (void)state;
    struct midge_password password = {.iterations = MIDGE_ITERATIONS_MAX, .salt_size = 1};
    struct midge_password_key key;
    atomic_bool stop = true;
    midge_password_prepare(&key, (const uint8_t *)"x", 1);
    assert_false(midge_password_matches_key(&password, &key, &stop)); /* else this takes two minutes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_mosquitto_passwd_match),
        cmocka_unit_test(hashes_are_those_of_the_standard),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_hash_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
