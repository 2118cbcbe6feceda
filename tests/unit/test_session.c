/* Sessions: found, made, evicted, expired and removed; and the QoS 2 identifiers that they hold. */
#include "session.h"

#include "fixture.h"
#include "unit.h"

/* Sessions are known by their index here, 0: none. */
static midge_index create(struct midge *b, const char *client_id, enum midge_reason *reason)
{
    *reason = MIDGE_NONE;
    const struct midge_session *s = midge_session_create(b, fixture_view(client_id), reason);
    assert_int_equal(s == NULL, *reason != MIDGE_NONE);
    assert_int_equal(midge_audit(b), 0);
    return s == NULL ? 0 : midge_session_index(b, s);
}

static midge_index find(const struct midge *b, const char *client_id)
{
    const struct midge_session *s = midge_session_find(b, fixture_view(client_id));
    return s == NULL ? 0 : midge_session_index(b, s);
}

static void made_found_and_removed(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    assert_int_equal(find(b, "a"), 0);
    midge_index a = create(b, "a", &reason);
    midge_index longer = create(b, "a client identifier across chunks", &reason);
    assert_int_equal(find(b, "a"), a);
    assert_int_equal(find(b, "a client identifier across chunks"), longer);
    assert_int_equal(find(b, "a client identifier across chunk"), 0);
    assert_int_equal(find(b, "a client identifier across chunkz"), 0);
    assert_int_equal(find(b, "b"), 0);
    assert_int_equal(b->metrics.sessions_offline, 2);
    assert_int_equal(midge_session_at(b, a)->next_packet_id, 1);
    midge_session_remove(b, midge_session_at(b, a), MIDGE_SESSION_CLEAN);
    assert_int_equal(find(b, "a"), 0);
    assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_SESSION_GONE], 1);
    assert_int_equal(fixture_callbacks.last_reason, MIDGE_SESSION_CLEAN);
    midge_session_remove(b, midge_session_at(b, longer), MIDGE_SESSION_CLEAN);
    assert_int_equal(b->names.chunks.used, 0);
    fixture_end(b);
}

static void the_one_absent_for_longest_makes_room(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    char id[] = "a";
    for (uint32_t i = 0; i < FIXTURE_SESSIONS; i++, id[0]++) {
        assert_int_not_equal(create(b, id, &reason), 0);
    }
    /* a goes online and offline again: now b is the oldest. */
    struct midge_handle conn = fixture_connect(b, "a", false);
    midge_disconnected(b, conn);
    assert_int_not_equal(create(b, "x", &reason), 0);
    assert_int_equal(find(b, "b"), 0);
    assert_int_not_equal(find(b, "a"), 0);
    assert_int_equal(fixture_callbacks.last_reason, MIDGE_SESSION_EVICTED);
    b->config.policy.evict_sessions = false;
    assert_int_equal(create(b, "y", &reason), 0);
    assert_int_equal(reason, MIDGE_SESSIONS_FULL);
    assert_int_not_equal(find(b, "c"), 0);
    fixture_end(b);
}

static void sessions_of_connected_clients_are_never_evicted(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.sessions = FIXTURE_CLIENTS;
    struct midge *b = fixture_begin(&config);
    char id[] = "a";
    for (uint32_t i = 0; i < FIXTURE_CLIENTS; i++, id[0]++) {
        fixture_connect(b, id, i % 2 == 0);
    }
    enum midge_reason reason;
    assert_int_equal(create(b, "x", &reason), 0);
    assert_int_equal(reason, MIDGE_SESSIONS_FULL);
    assert_int_equal(b->sessions.used, FIXTURE_CLIENTS);
    fixture_end(b);
}

static void names_that_run_dry(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.names = 3;
    config.limits.name_size = 8;
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    midge_index first = create(b, "abcd", &reason);
    assert_int_not_equal(first, 0);
    char id[32] = {0};
    memset(id, 'x', 3 * (8 - sizeof(midge_index))); /* all three chunks */
    b->config.policy.evict_sessions = false;
    assert_int_equal(create(b, id, &reason), 0);
    assert_int_equal(reason, MIDGE_NAMES_FULL);
    assert_int_equal(find(b, "abcd"), first);
    b->config.policy.evict_sessions = true;
    assert_int_not_equal(create(b, id, &reason), 0);
    assert_int_equal(find(b, "abcd"), 0);
    assert_int_equal(b->sessions.used, 1);
    fixture_end(b);
}

/* Nobody is evicted for a client that cannot be let in all the same. */
static void a_name_that_never_fits_evicts_nobody(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.limits.names = 3;
    config.limits.name_size = 8;
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    midge_index first = create(b, "abcd", &reason);
    assert_int_equal(create(b, "a name of more than three chunks", &reason), 0);
    assert_int_equal(reason, MIDGE_NAMES_FULL);
    assert_int_equal(find(b, "abcd"), first);
    fixture_end(b);
}

static void clean_sessions_end_with_their_connection(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    struct midge_handle clean = fixture_connect(b, "clean", true);
    struct midge_handle kept = fixture_connect(b, "kept", false);
    fixture_subscribe(b, clean, "a", 1);
    fixture_subscribe(b, kept, "a", 1);
    assert_int_equal(b->metrics.sessions_offline, 0);
    midge_session_at(b, find(b, "kept"))->who = 9;
    midge_disconnected(b, clean);
    midge_disconnected(b, kept);
    assert_int_equal(find(b, "clean"), 0);
    assert_int_equal(fixture_callbacks.logs[MIDGE_LOG_SESSION_GONE], 0);
    midge_index session = find(b, "kept");
    assert_int_not_equal(session, 0);
    assert_int_equal(b->subscriptions.pool.used, 1);
    assert_int_equal(b->offline.head, session);
    assert_int_equal(b->offline.tail, session);
    midge_session_remove(b, midge_session_at(b, session), MIDGE_SESSION_CLEAN);
    assert_int_equal(b->subscriptions.pool.used, 0);
    assert_int_equal(b->offline.head, 0);
    fixture_end(b);
}

static void sessions_expire_in_the_order_of_their_absence(void **state)
{
    (void)state;
    struct midge_config config = fixture_config();
    config.policy.session_expiry_s = 10;
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    create(b, "a", &reason);
    fixture_advance(b, 5000);
    create(b, "b", &reason);
    fixture_connect(b, "online", false);
    assert_true(midge_session_expire(b) <= b->now_ms + 5000 + 512);
    fixture_advance(b, 4000);
    assert_int_not_equal(find(b, "a"), 0);
    fixture_advance(b, 1000 + 512);
    assert_int_equal(find(b, "a"), 0);
    assert_int_not_equal(find(b, "b"), 0);
    assert_int_equal(b->metrics.sessions_expired, 1);
    fixture_advance(b, 5000);
    assert_int_equal(find(b, "b"), 0);
    assert_int_not_equal(find(b, "online"), 0);
    assert_true(midge_session_expire(b) == UINT64_MAX);
    b->config.policy.session_expiry_s = 0;
    create(b, "c", &reason);
    assert_true(midge_session_expire(b) == UINT64_MAX);
    fixture_end(b);
}

/* ---- QoS 2 identifiers ---- */

static void qos2_identifiers_are_a_set(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("session");
    struct midge_config config = fixture_config();
    struct midge *b = fixture_begin(&config);
    enum midge_reason reason;
    midge_index sessions[2] = {create(b, "a", &reason), create(b, "b", &reason)};
    bool model[2][20] = {{false}};
    uint32_t held[2] = {0};
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t who = unit_random_below(&random, 2);
        uint16_t id = (uint16_t)(1 + unit_random_below(&random, 19));
        uint32_t left = b->config.limits.qos2_identifiers - held[0] - held[1];
        midge_index entry = midge_qos2_find(b, sessions[who], id);
        assert_int_equal(entry != 0, model[who][id]);
        /* Nobody takes it all: a session may grow while it holds less than what is free. */
        assert_int_equal(midge_qos2_room(b, sessions[who]), left > 0 && (held[who] == 0 || held[who] < left));
        if (entry != 0) {
            midge_qos2_remove(b, entry);
            held[who]--;
            model[who][id] = false;
        } else if (midge_qos2_room(b, sessions[who])) {
            midge_qos2_add(b, sessions[who], id);
            held[who]++;
            model[who][id] = true;
        }
        assert_int_equal(b->qos2.used, held[0] + held[1]);
        assert_int_equal(midge_audit(b), 0);
    }
    midge_session_remove(b, midge_session_at(b, sessions[0]), MIDGE_SESSION_CLEAN);
    assert_int_equal(b->qos2.used, held[1]);
    fixture_end(b);
}

static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("session");
    struct midge_config config = fixture_config();
    config.limits.names = 20;
    struct midge *b = fixture_begin(&config);
    static const char *const ids[] = {
        "a", "b", "c", "d", "e is longer than a chunk", "f is so too, and by much more", "g", "h", "i", "j",
        "k", "l", "m", "n"};
    midge_index model[UNIT_COUNT(ids)] = {0};
    b->config.policy.evict_sessions = false;
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = unit_random_below(&random, UNIT_COUNT(ids));
        assert_int_equal(find(b, ids[i]), model[i]);
        if (model[i] != 0) {
            midge_session_remove(b, midge_session_at(b, model[i]), MIDGE_SESSION_CLEAN);
            model[i] = 0;
        } else {
            uint32_t left = midge_pool_free(&b->sessions);
            uint32_t chunks = midge_pool_free(&b->names.chunks);
            enum midge_reason reason;
            model[i] = create(b, ids[i], &reason);
            bool fits = midge_names_chunks(&b->names, (uint32_t)strlen(ids[i])) <= chunks;
            assert_int_equal(reason, left == 0 ? MIDGE_SESSIONS_FULL : fits ? MIDGE_NONE : MIDGE_NAMES_FULL);
        }
        assert_int_equal(midge_audit(b), 0);
    }
    fixture_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_found_and_removed),
        cmocka_unit_test(the_one_absent_for_longest_makes_room),
        cmocka_unit_test(sessions_of_connected_clients_are_never_evicted),
        cmocka_unit_test(names_that_run_dry),
        cmocka_unit_test(a_name_that_never_fits_evicts_nobody),
        cmocka_unit_test(clean_sessions_end_with_their_connection),
        cmocka_unit_test(sessions_expire_in_the_order_of_their_absence),
        cmocka_unit_test(qos2_identifiers_are_a_set),
        cmocka_unit_test(random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
