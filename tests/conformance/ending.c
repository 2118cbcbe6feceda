/* The end of a world, whatever happened in it: every wait ends, the counters say what happened, and everything is given back.
 */
#include "world.h"

/* Longer than everything that the policy lets anybody wait. */
static uint64_t long_enough(const struct midge_policy *policy)
{
    return 10 + 2 * ((uint64_t)policy->wait_ms + policy->progress_ms + policy->assembly_ms + policy->close_ms +
                     policy->connect_timeout_ms);
}

/* How much input those still have who wait for others; a client that does not read waits for itself. */
static size_t waiting_input(const struct world *world)
{
    size_t size = 0;
    for (const struct client *client = world->clients; client != NULL; client = client->next) {
        size += client->open && client->stalled && client->reads ? client->input.size : 0;
    }
    return size;
}

/* Rule 3: every wait has a deadline. Lets them pass; one deadline after the other may be needed, but each must bring progress.
 */
bool world_waits_end(struct world *world)
{
    size_t before = waiting_input(world);
    for (int i = 0; i < 100 && before > 0 && !world->broken; i++) {
        world_pass(world, long_enough(&world->config.policy));
        size_t after = waiting_input(world);
        if (after >= before) {
            return false;
        }
        before = after;
    }
    return true;
}

void world_check_counters(struct world *world)
{
    struct midge_metrics metrics;
    midge_metrics(world->broker, &metrics);
    for (int i = 0; i < MIDGE_REASON_COUNT; i++) {
        enum midge_reason reason = (enum midge_reason)i;
        uint64_t logged = world_logged_drops(world, reason);
        if (metrics.drops[i] != logged) {
            world_break(world, "%s: %llu messages lost by the counter, %llu by the log", reason_name(reason),
                        (unsigned long long)metrics.drops[i], (unsigned long long)logged);
        }
    }
    if (metrics.bytes_sent != world->bytes_done) {
        world_break(world, "bytes_sent is %llu, and %llu were done", (unsigned long long)metrics.bytes_sent,
                    (unsigned long long)world->bytes_done);
    }
    if (!world->cut && metrics.publish_sent != world->publish_seen) {
        world_break(world, "publish_sent is %llu, and %llu were received", (unsigned long long)metrics.publish_sent,
                    (unsigned long long)world->publish_seen);
    }
}

/* Every client identifier connects once more with a clean session. */
static void end_sessions(struct world *world)
{
    struct client *cleaner = world_client(world, span_of("(cleaner)"));
    for (size_t i = 0; i < world->client_id_count && !world->broken; i++) {
        struct connect_fields fields = {.protocol = span_of("MQTT"), .level = 4, .clean = true, .flags_and = ~0u};
        struct buffer bytes = {0};
        fields.client_id = world->client_ids[i];
        encode_connect(&bytes, &fields);
        encode_empty(&bytes, DISCONNECT);
        if (world_open(world, cleaner, 1)) {
            world_send(world, cleaner, (struct span){bytes.bytes, bytes.size});
            world_turn(world);
            if (cleaner->open) {
                world_lose(world, cleaner);
            }
            world_turn(world);
        }
        buffer_free(&bytes);
    }
}

static void expire_sessions(struct world *world)
{
    world->config.policy.session_expiry_s = 1;
    if (!midge_set_policy(world->broker, &world->config.policy, NULL)) {
        world_break(world, "midge_set_policy refuses a session expiry of 1 s");
    }
    world_pass(world, 3000);
}

static void check_pools(struct world *world)
{
    static const char *const names[] = {"connections", "sessions",   "subscriptions",     "filter nodes", "topic nodes",
                                        "names",       "deliveries", "QoS 2 identifiers", "blocks"};
    struct midge_metrics metrics;
    midge_metrics(world->broker, &metrics);
    for (int i = 0; i < MIDGE_POOL_COUNT; i++) {
        if (metrics.pools[i].used != world->before.pools[i].used) {
            world_break(world, "leak: %u %s in use in the end, %u at the start", (unsigned)metrics.pools[i].used, names[i],
                        (unsigned)world->before.pools[i].used);
        }
    }
    if (metrics.retained != 0 || metrics.retained_bytes != 0 || metrics.queued != 0 || metrics.stored_messages != 0 ||
        metrics.stored_bytes != 0 || metrics.clients_connected != 0 || metrics.sessions_offline != 0 ||
        metrics.subscriptions != 0) {
        world_break(
            world,
            "a gauge is not back at 0: retained %u (%u bytes), queued %u, stored %u (%u bytes), connected %u, offline %u",
            (unsigned)metrics.retained, (unsigned)metrics.retained_bytes, (unsigned)metrics.queued,
            (unsigned)metrics.stored_messages, (unsigned)metrics.stored_bytes, (unsigned)metrics.clients_connected,
            (unsigned)metrics.sessions_offline);
    }
}

void world_conclude(struct world *world, bool expire)
{
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        if (client->open) {
            world_lose(world, client);
        }
    }
    world_turn(world);
    world_pass(world, long_enough(&world->config.policy)); /* wills that waited for room */
    if (expire) {
        expire_sessions(world);
    } else {
        end_sessions(world);
    }
    for (const struct sent *sent = world->sent; sent != NULL && !world->broken; sent = sent->next) {
        if (sent->retain) {
            struct midge_view topic = {sent->topic.bytes, (uint32_t)sent->topic.size};
            /* What it says does not matter: check_pools sees whether it is gone. */
            (void)midge_publish(world->broker, topic, (struct midge_view){0}, 0, true);
            world_turn(world);
        }
    }
    if (!world->broken) {
        world_audit(world);
        check_pools(world);
    }
}
