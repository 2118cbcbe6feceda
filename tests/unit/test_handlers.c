/* Handlers of packets: what a scenario of the conformance tests would not see. */
#include "handlers.h"

#include "fixture.h"
#include "unit.h"

enum { MANY = 5000, ASSIGNED_SIZE = 22 };

/* Opens a connection as a client that leaves its identifier to the broker. */
static struct midge_handle connect_nameless(struct midge *b)
{
    static const uint8_t packet[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0x02, 0, 0, 0, 0};
    struct midge_handle conn = midge_connected(b, 0);
    assert_int_not_equal(conn.index, 0);
    fixture_send(b, conn, packet, sizeof(packet));
    assert_int_equal(fixture_drain(b, conn), 4);
    assert_int_equal(fixture_output[3], 0);
    return conn;
}

/* [MQTT-3.1.3-6]: each is new, and at the first try, however many there are: the tries do not become more and more. */
static void made_up_identifiers_differ(void **state)
{
    (void)state;
    static struct midge_handle conns[MANY];
    static const uint64_t seeds[] = {0, 1, 77, UINT64_C(0x123456789abcdef0), UINT64_C(0xdeadbeefcafebabe), UINT64_MAX};
    struct midge_config config = fixture_config();
    config.limits.clients = MANY;
    config.limits.sessions = MANY;
    config.limits.names = 2 * MANY;
    config.limits.name_size = ASSIGNED_SIZE + 10;
    for (uint32_t i = 0; i < UNIT_COUNT(seeds); i++) {
        config.hash_seed = seeds[i];
        struct midge *b = fixture_begin(&config);
        for (uint32_t k = 0; k < MANY; k++) {
            conns[k] = connect_nameless(b);
        }
        assert_int_equal(b->sessions.used, MANY);
        assert_int_equal(b->assigned_ids, MANY);
        for (uint32_t k = 0; k < MANY; k++) {
            midge_disconnected(b, conns[k]);
        }
        fixture_end(b);
    }
}

static void made_up_identifiers_are_plain_text(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    struct midge_handle conn = connect_nameless(b);
    const struct midge_session *s = midge_session_of(b, midge_connection_at(b, conn.index));
    uint8_t id[ASSIGNED_SIZE];
    assert_int_equal(s->client_id_size, sizeof(id));
    midge_names_copy(&b->names, s->client_id, id, sizeof(id));
    assert_memory_equal(id, "midge-", 6);
    for (uint32_t i = 6; i < sizeof(id); i++) {
        assert_in_range(id[i], 'a', 'p');
    }
    midge_disconnected(b, conn);
    fixture_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_identifiers_differ),
        cmocka_unit_test(made_up_identifiers_are_plain_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
