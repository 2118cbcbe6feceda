/* Timers: the heap against a table of deadlines, across the point where the clock wraps around. */
#include "timers.h"

#include "unit.h"

enum { OWNERS = 40 };

/* An owner keeps its position among other things, as a connection does. */
struct owner {
    uint32_t other;
    midge_index position;
};

struct fixture {
    struct midge_timer *heap;
    struct owner *owners;
    struct midge_timers timers;
};

static void begin(struct fixture *f, midge_index count)
{
    f->heap = unit_memory(count * sizeof(struct midge_timer));
    f->owners = unit_memory((count + 1u) * sizeof(struct owner));
    uintptr_t positions = (uintptr_t)f->owners + offsetof(struct owner, position);
    midge_timers_init(&f->timers, f->heap, count, positions, sizeof(struct owner));
}

static void finish(struct fixture *f)
{
    assert_true(midge_timers_audit(&f->timers));
    free(f->heap);
    free(f->owners);
}

static void time_is_compared_around_the_wrap(void **state)
{
    (void)state;
    assert_true(midge_time_before(1, 2));
    assert_false(midge_time_before(2, 2));
    assert_false(midge_time_before(2, 1));
    assert_true(midge_time_before(UINT32_MAX, 0));
    assert_false(midge_time_before(0, UINT32_MAX));
    assert_true(midge_time_before(0xfffffff0, 0x10));
    assert_true(midge_time_before(0, 0x7fffffff));
    assert_false(midge_time_before(0x7fffffff, 0));
}

static void one_timer_each(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2);
    assert_int_equal(midge_timers_first(&f.timers), 0);
    midge_timers_clear(&f.timers, 1);
    midge_timers_set(&f.timers, 2, 100);
    assert_int_equal(midge_timers_first(&f.timers), 2);
    assert_int_equal(f.owners[2].position, 1);
    midge_timers_set(&f.timers, 2, 50);
    midge_timers_set(&f.timers, 2, 150);
    assert_int_equal(f.timers.count, 1);
    assert_int_equal(f.heap[0].deadline_ms, 150);
    midge_timers_set(&f.timers, 1, 100);
    assert_int_equal(midge_timers_first(&f.timers), 1);
    midge_timers_clear(&f.timers, 1);
    midge_timers_clear(&f.timers, 1);
    assert_int_equal(f.owners[1].position, 0);
    midge_timers_clear(&f.timers, 2);
    assert_int_equal(f.timers.count, 0);
    assert_int_equal(midge_timers_first(&f.timers), 0);
    finish(&f);
}

/* All orders of five timers come out sorted, whichever one is taken out before. */
static void every_order_of_five(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 5 * 5 * 5 * 5 * 5; code++) {
        uint32_t deadlines[5] = {code % 5, code / 5 % 5, code / 25 % 5, code / 125 % 5, code / 625};
        for (midge_index without = 0; without <= 5; without++) {
            struct fixture f;
            begin(&f, 5);
            for (midge_index i = 1; i <= 5; i++) {
                midge_timers_set(&f.timers, i, UINT32_MAX - 1 + deadlines[i - 1]);
            }
            if (without > 0) {
                midge_timers_clear(&f.timers, without);
            }
            uint32_t last = UINT32_MAX - 1;
            for (uint32_t left = without > 0 ? 4 : 5; left > 0; left--) {
                assert_int_equal(f.timers.count, left);
                midge_index first = midge_timers_first(&f.timers);
                assert_int_not_equal(first, without);
                assert_false(midge_time_before(f.heap[0].deadline_ms, last));
                last = f.heap[0].deadline_ms;
                midge_timers_clear(&f.timers, first);
                assert_true(midge_timers_audit(&f.timers));
            }
            finish(&f);
        }
    }
}

/* The first timer is the earliest of the table, always. */
static void random_operations(void **state)
{
    (void)state;
    struct unit_random random = unit_random_begin("timers");
    struct fixture f;
    begin(&f, OWNERS);
    uint32_t deadline[OWNERS + 1];
    bool set[OWNERS + 1] = {false};
    uint32_t now = UINT32_MAX - 100000;
    for (uint32_t step = 0; step < 50000; step++) {
        midge_index owner = (midge_index)(1 + unit_random_below(&random, OWNERS));
        if (unit_random_below(&random, 3) > 0) {
            deadline[owner] = now + unit_random_below(&random, 2000);
            set[owner] = true;
            midge_timers_set(&f.timers, owner, deadline[owner]);
        } else {
            set[owner] = false;
            midge_timers_clear(&f.timers, owner);
        }
        now += unit_random_below(&random, 10);
        midge_index earliest = 0;
        uint32_t count = 0;
        for (midge_index i = 1; i <= OWNERS; i++) {
            if (set[i] && midge_time_before(deadline[i], now)) {
                set[i] = false;
                midge_timers_clear(&f.timers, i);
            }
            count += set[i] ? 1 : 0;
            if (set[i] && (earliest == 0 || midge_time_before(deadline[i], deadline[earliest]))) {
                earliest = i;
            }
        }
        assert_int_equal(f.timers.count, count);
        assert_int_equal(midge_timers_first(&f.timers) == 0, earliest == 0);
        if (earliest != 0) {
            assert_int_equal(f.heap[0].deadline_ms, deadline[earliest]);
            assert_int_equal(deadline[midge_timers_first(&f.timers)], deadline[earliest]);
        }
        assert_true(midge_timers_audit(&f.timers));
    }
    finish(&f);
}

static void audit_finds_a_broken_heap(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    midge_timers_set(&f.timers, 1, 10);
    midge_timers_set(&f.timers, 2, 20);
    midge_timers_set(&f.timers, 3, 30);
    assert_true(midge_timers_audit(&f.timers));
    f.heap[0].deadline_ms = 25;
    assert_false(midge_timers_audit(&f.timers));
    f.heap[0].deadline_ms = 10;
    f.owners[3].position = 2;
    assert_false(midge_timers_audit(&f.timers));
    f.owners[3].position = 3;
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_compared_around_the_wrap),
        cmocka_unit_test(one_timer_each),
        cmocka_unit_test(every_order_of_five),
        cmocka_unit_test(random_operations),
        cmocka_unit_test(audit_finds_a_broken_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
