/* Identities and addresses: who is remembered, for how long, and in how much memory. */
#include "addresses.h"
#include "identities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As for a broker with 6 sessions and 3 connections. */
#define SESSIONS 6u
#define CONNECTIONS 3u
#define IDENTITIES (SESSIONS + CONNECTIONS + MIDGE_IDENTITIES_FIRST)

#define TEXT_SIZE 40u

static _Alignas(struct midge_identity) uint8_t entries[IDENTITIES * (sizeof(struct midge_identity) + TEXT_SIZE)];
static uint32_t buckets[IDENTITIES];
static struct midge_identities identities;

static int start(void **state)
{
    (void)state;
    memset(entries, 0, sizeof(entries));
    memset(buckets, 0, sizeof(buckets));
    identities =
        (struct midge_identities){.identities = entries, .buckets = buckets, .text_size = TEXT_SIZE, .max = IDENTITIES};
    assert_true(IDENTITIES * midge_identity_size(TEXT_SIZE) <= sizeof(entries));
    midge_identities_start(&identities, 42);
    return 0;
}

static struct midge_view view(const char *string)
{
    return (struct midge_view){(const uint8_t *)string, (uint32_t)strlen(string)};
}

static uint32_t enter(const char *client_id, const char *user)
{
    struct midge_asker asker = {.has_user = true, .user = view(user), .client_id = view(client_id)};
    return midge_identities_enter(&identities, &asker);
}

static bool is(uint32_t who, const char *client_id, const char *user)
{
    struct midge_asker asker;
    return midge_identities_asker(&identities, who, &asker) && asker.client_id.size == strlen(client_id) &&
           memcmp(asker.client_id.bytes, client_id, asker.client_id.size) == 0 && asker.user.size == strlen(user) &&
           memcmp(asker.user.bytes, user, asker.user.size) == 0;
}

static void small_numbers_are_clients_without_a_name(void **state)
{
    (void)state;
    struct midge_asker asker;
    assert_true(midge_identities_asker(&identities, 3, &asker));
    assert_int_equal(asker.domain, 3);
    assert_false(asker.has_user);
    assert_int_equal(asker.user.size + asker.client_id.size, 0);
}

static void a_client_that_takes_over_keeps_its_number(void **state)
{
    (void)state;
    uint32_t who = enter("c", "alice");
    assert_true(is(who, "c", "alice"));
    assert_int_equal(enter("c", "bob"), who);
    assert_true(is(who, "c", "bob"));
    midge_identities_leave(&identities, who);
    assert_true(is(who, "c", "bob"));
    midge_identities_leave(&identities, who);
    assert_int_equal(enter("c", "alice"), who);
}

static void names_have_a_size(void **state)
{
    (void)state;
    char name[TEXT_SIZE + 1];
    memset(name, 'x', sizeof(name));
    name[TEXT_SIZE] = '\0';
    assert_int_equal(enter(name, "a"), 0);
    assert_int_equal(enter("a", name), 0);
    name[TEXT_SIZE - 1] = '\0';
    uint32_t first = enter(name, "a");
    uint32_t second = enter("a", name);
    assert_true(is(first, name, "a"));
    assert_true(is(second, "a", name));
}

/* A broker with random clients. Its sessions follow the rules of the core: a session that is kept and absent makes room, the
 * one absent for longest first. No identity of a session may ever be lost. */
static void no_session_loses_its_identity(void **state)
{
    (void)state;
    struct {
        char name[8];
        uint32_t who;
        bool exists, connected, kept;
        uint64_t left;
    } clients[40] = {0};
    unsigned connected = 0;
    uint64_t clock = 0;
    const unsigned seed = 20261125;
    print_message("seed %u\n", seed);
    srand(seed);
    for (unsigned step = 0; step < 200000; step++) {
        unsigned i = (unsigned)rand() % 40;
        clock++;
        if (clients[i].connected) {
            clients[i].connected = false;
            clients[i].left = clock;
            connected--;
            midge_identities_leave(&identities, clients[i].who);
            /* As the client said when it connected: clean ones have no session now. */
            clients[i].exists = clients[i].kept;
        } else if (connected < CONNECTIONS) {
            clients[i].kept = rand() % 2 == 0;
            unsigned sessions = 0;
            unsigned oldest = 40;
            for (unsigned j = 0; j < 40; j++) {
                sessions += clients[j].exists && j != i ? 1 : 0;
                if (j != i && clients[j].exists && !clients[j].connected &&
                    (oldest == 40 || clients[j].left < clients[oldest].left)) {
                    oldest = j;
                }
            }
            if (sessions == SESSIONS) {
                clients[oldest].exists = false;
            }
            snprintf(clients[i].name, sizeof(clients[i].name), "c%u", i);
            clients[i].who = enter(clients[i].name, "u");
            assert_int_not_equal(clients[i].who, 0);
            midge_identities_keep(&identities, clients[i].who, clients[i].kept);
            clients[i].exists = true;
            clients[i].connected = true;
            connected++;
        }
        for (unsigned j = 0; j < 40; j++) {
            if (clients[j].exists && !is(clients[j].who, clients[j].name, "u")) {
                fail_msg("step %u: client %u is not known any more", step, j);
            }
        }
    }
}

/* A number whose entry was given to another client is recognised. */
static void a_number_that_was_given_up_stands_for_nobody(void **state)
{
    (void)state;
    uint32_t who = enter("first", "u");
    midge_identities_keep(&identities, who, false);
    midge_identities_leave(&identities, who);
    uint32_t other = enter("second", "u");
    assert_int_equal(other & 0xFFFFFF, who & 0xFFFFFF);
    assert_int_not_equal(other, who);
    struct midge_asker asker;
    assert_false(midge_identities_asker(&identities, who, &asker));
    assert_true(is(other, "second", "u"));
}

/* ---- Addresses ---------------------------------------------------------------------------------------------------------- */

#define ADDRESSES (CONNECTIONS + MIDGE_FAILURES_MAX + 1)

static struct midge_address hosts[ADDRESSES];
static uint32_t host_buckets[ADDRESSES];
static struct midge_addresses addresses;

static int start_addresses(void **state)
{
    (void)state;
    memset(hosts, 0, sizeof(hosts));
    memset(host_buckets, 0, sizeof(host_buckets));
    addresses = (struct midge_addresses){.addresses = hosts, .buckets = host_buckets, .max = ADDRESSES};
    midge_addresses_start(&addresses, 42);
    return 0;
}

static void keys_are_hosts(void **state)
{
    (void)state;
    static const uint8_t one[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1};
    static const uint8_t same[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2};
    static const uint8_t other[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1};
    assert_true(midge_address_key(one, true) == midge_address_key(same, true));
    assert_true(midge_address_key(one, true) != midge_address_key(other, true));
    assert_true(midge_address_key(one, false) != midge_address_key((const uint8_t[]){0x20, 1, 0xd, 0xb9}, false));
}

static void connections_are_counted(void **state)
{
    (void)state;
    uint32_t host = midge_addresses_enter(&addresses, 7);
    assert_int_equal(midge_addresses_enter(&addresses, 7), host);
    assert_int_equal(hosts[host].connections, 2);
    midge_addresses_leave(&addresses, host);
    midge_addresses_leave(&addresses, host);
    assert_int_equal(midge_addresses_find(&addresses, 7), 0);
}

static void failures_are_forgotten_after_a_while(void **state)
{
    (void)state;
    uint32_t host = midge_addresses_enter(&addresses, 7);
    assert_int_equal(midge_addresses_fail(&addresses, host, 1000), 1);
    assert_int_equal(midge_addresses_fail(&addresses, host, 2000), 2);
    assert_int_equal(midge_addresses_failures(&addresses, host, 2000 + MIDGE_FAILURE_FORGET_MS - 1), 2);
    assert_int_equal(midge_addresses_failures(&addresses, host, 2000 + MIDGE_FAILURE_FORGET_MS), 0);
    midge_addresses_leave(&addresses, host);
    assert_int_equal(midge_addresses_find(&addresses, 7), host);
    assert_int_equal(midge_addresses_enter(&addresses, 7), host);
    assert_int_equal(midge_addresses_fail(&addresses, host, 2000 + MIDGE_FAILURE_FORGET_MS), 1);
}

/* More hosts fail than there is room for: those that failed last, and those with connections, are remembered. */
static void the_oldest_failures_make_room(void **state)
{
    (void)state;
    uint32_t there = midge_addresses_enter(&addresses, 1);
    midge_addresses_fail(&addresses, there, 0);
    for (uint64_t key = 2; key < 10000; key++) {
        uint32_t host = midge_addresses_enter(&addresses, key);
        assert_int_equal(midge_addresses_fail(&addresses, host, key), 1);
        midge_addresses_leave(&addresses, host);
    }
    assert_int_equal(midge_addresses_find(&addresses, 1), there);
    assert_int_equal(midge_addresses_failures(&addresses, there, 10000), 1);
    assert_int_equal(midge_addresses_find(&addresses, 2), 0);
    assert_int_not_equal(midge_addresses_find(&addresses, 9999 - MIDGE_FAILURES_MAX + 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_numbers_are_clients_without_a_name, start),
        cmocka_unit_test_setup(a_client_that_takes_over_keeps_its_number, start),
        cmocka_unit_test_setup(names_have_a_size, start),
        cmocka_unit_test_setup(no_session_loses_its_identity, start),
        cmocka_unit_test_setup(a_number_that_was_given_up_stands_for_nobody, start),
        cmocka_unit_test_setup(keys_are_hosts, start_addresses),
        cmocka_unit_test_setup(connections_are_counted, start_addresses),
        cmocka_unit_test_setup(failures_are_forgotten_after_a_while, start_addresses),
        cmocka_unit_test_setup(the_oldest_failures_make_room, start_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
