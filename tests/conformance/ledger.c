#include "ledger.h"

#include <string.h>

#include "world.h"

enum { DEBT_BUCKETS = 256 };

/* A filter that was granted QoS 1 or 2. */
struct holding {
    struct holding *next;
    struct span filter;
    uint64_t since; /* the moment of its SUBACK */
};

/* All acknowledged messages with this topic and payload, for one session. */
struct debt {
    struct debt *next;
    struct span topic, payload;
    unsigned owed, got;
};

/* A session, known by its client identifier, or by its connection alone. */
struct account {
    struct account *next;
    struct span client_id;
    struct client *client; /* whose connection had it last */
    struct span connect;   /* brings the session back; empty for one that ends with its connection */
    bool unsure;           /* a CONNECT that may have ended it has no answer yet */
    struct holding *holdings;
    struct debt *debts[DEBT_BUCKETS];
};

/* A PUBLISH of QoS 1 or 2 on its way to the broker. */
struct publication {
    struct publication *next;
    struct span topic, payload;
    unsigned qos;
    uint16_t id;
    uint64_t moment;
    unsigned asked; /* how often it was sent, less the answers */
    bool released;  /* PUBREL was sent */
    bool unsure;    /* whether the broker takes it for a new message cannot be known */
};

/* A SUBSCRIBE without an answer. */
struct request {
    struct request *next;
    uint16_t id;
    struct span filters;
};

static const size_t logged_id_size_max = 64;

/* ---- Accounts ----------------------------------------------------------------------------------------------------------- */

static struct account *account_of(struct world *world, struct span client_id)
{
    for (struct account *account = world->ledger.accounts; account != NULL; account = account->next) {
        if (client_id.size > 0 && span_equal(account->client_id, client_id)) {
            return account;
        }
    }
    return NULL;
}

static void write_off(struct account *account)
{
    account->holdings = NULL;
    memset(account->debts, 0, sizeof account->debts);
}

void ledger_session_gone(struct world *world, struct span client_id)
{
    for (struct account *account = world->ledger.accounts; account != NULL; account = account->next) {
        size_t size = account->client_id.size < logged_id_size_max ? account->client_id.size : logged_id_size_max;
        if (span_equal((struct span){account->client_id.bytes, size}, client_id)) {
            write_off(account);
        }
    }
}

static struct debt *debt_of(struct world *world, struct account *account, struct span topic, struct span payload)
{
    size_t bucket = payload.size;
    for (size_t i = 0; i < payload.size && i < 8; i++) {
        bucket = bucket * 31 + payload.bytes[i];
    }
    struct debt **at = &account->debts[bucket % DEBT_BUCKETS];
    while (*at != NULL && !(span_equal((*at)->topic, topic) && span_equal((*at)->payload, payload))) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = arena_take(&world->arena, sizeof **at);
        (*at)->topic = topic;
        (*at)->payload = payload;
    }
    return *at;
}

/* A message of which the session received fewer copies than it should have. */
static const struct debt *unpaid(const struct account *account)
{
    for (size_t i = 0; i < DEBT_BUCKETS; i++) {
        for (const struct debt *debt = account->debts[i]; debt != NULL; debt = debt->next) {
            if (debt->owed > debt->got) {
                return debt;
            }
        }
    }
    return NULL;
}

/* Whether the account held a matching filter since before that moment. */
static bool held(const struct account *account, struct span topic, uint64_t moment)
{
    for (const struct holding *holding = account->holdings; holding != NULL; holding = holding->next) {
        bool hidden = topic.size > 0 && topic.bytes[0] == '$' && holding->filter.bytes[0] != '$';
        if (holding->since < moment && !hidden && world_matches(holding->filter, topic)) {
            return true;
        }
    }
    return false;
}

static void release_holding(struct account *account, struct span filter)
{
    struct holding **at = &account->holdings;
    while (*at != NULL && !span_equal((*at)->filter, filter)) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = (*at)->next;
    }
}

/* ---- What clients send -------------------------------------------------------------------------------------------------- */

static void sent_connect(struct world *world, struct client *client, const struct client_packet *packet)
{
    struct account *account = account_of(world, packet->client_id);
    client->page.connect = arena_copy(&world->arena, packet->whole.bytes, packet->whole.size);
    client->page.connect_id = arena_copy(&world->arena, packet->client_id.bytes, packet->client_id.size);
    client->page.connect_clean = packet->clean;
    if (account != NULL && (packet->clean || account->connect.size == 0)) {
        account->unsure = true;
    }
}

static void sent_publish(struct world *world, struct client *client, const struct client_packet *packet)
{
    /* One of QoS 1 is always a new one, and thousands may be on their way. */
    struct ledger_page *page = &client->page;
    struct publication **at = packet->qos == 1 && page->last != NULL ? &page->last->next : &page->publications;
    while (*at != NULL && !(packet->qos == 2 && (*at)->qos == 2 && (*at)->id == packet->id && !(*at)->released)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        page->last = *at = arena_take(&world->arena, sizeof **at);
        (*at)->topic = arena_copy(&world->arena, packet->topic.bytes, packet->topic.size);
        (*at)->payload = arena_copy(&world->arena, packet->payload.bytes, packet->payload.size);
        (*at)->qos = packet->qos;
        (*at)->id = packet->id;
        (*at)->moment = ++world->ledger.moment;
    } else if (!span_equal((*at)->topic, packet->topic) || !span_equal((*at)->payload, packet->payload)) {
        (*at)->unsure = true;
    }
    (*at)->asked++;
}

static void remove_publication(struct ledger_page *page, struct publication **at)
{
    bool was_last = *at == page->last;
    *at = (*at)->next;
    if (was_last) {
        page->last = page->publications;
        while (page->last != NULL && page->last->next != NULL) {
            page->last = page->last->next;
        }
    }
}

static void sent_pubrel(struct client *client, uint16_t id)
{
    for (struct publication *at = client->page.publications; at != NULL; at = at->next) {
        at->released = at->released || (at->qos == 2 && at->id == id);
    }
}

static void sent_subscribe(struct world *world, struct client *client, const struct client_packet *packet)
{
    struct request *request = arena_take(&world->arena, sizeof *request);
    *request = (struct request){client->page.requests, packet->id,
                                arena_copy(&world->arena, packet->payload.bytes, packet->payload.size)};
    client->page.requests = request;
}

/* Takes one filter off the list; false behind the last one. */
static bool take_filter(struct span *list, struct span *filter)
{
    if (list->size < 2) {
        return false;
    }
    size_t size = (size_t)list->bytes[0] << 8 | list->bytes[1];
    if (list->size - 2 < size) {
        return false;
    }
    *filter = (struct span){list->bytes + 2, size};
    *list = (struct span){list->bytes + 2 + size, list->size - 2 - size};
    return true;
}

void ledger_sent(struct world *world, struct client *client, const struct client_packet *packet)
{
    struct span list = packet->payload;
    struct span filter;
    if (!world->ledger.kept) {
        return;
    }
    if (packet->type == CONNECT) {
        sent_connect(world, client, packet);
    } else if (packet->type == PUBLISH && (packet->qos == 1 || packet->qos == 2)) {
        sent_publish(world, client, packet);
    } else if (packet->type == PUBREL) {
        sent_pubrel(client, packet->id);
    } else if (packet->type == SUBSCRIBE) {
        sent_subscribe(world, client, packet);
        while (client->page.account != NULL && take_filter(&list, &filter) && list.size > 0) {
            /* Until the answer comes nobody knows with which QoS it is held. */
            release_holding(client->page.account, filter);
            list = (struct span){list.bytes + 1, list.size - 1};
        }
    } else if (packet->type == UNSUBSCRIBE) {
        while (client->page.account != NULL && take_filter(&list, &filter)) {
            release_holding(client->page.account, filter);
        }
    }
}

/* ---- What clients receive ----------------------------------------------------------------------------------------------- */

static void received_connack(struct world *world, struct client *client, const struct packet *packet)
{
    struct ledger_page *page = &client->page;
    struct account *account = account_of(world, page->connect_id);
    if (packet->return_code != 0) {
        return;
    }
    if (account == NULL) {
        account = arena_take(&world->arena, sizeof *account);
        account->client_id = page->connect_id;
        account->next = world->ledger.accounts;
        world->ledger.accounts = account;
    }
    if (packet->session_present == 0) {
        write_off(account);
        page->publications = page->last = NULL;
    }
    account->client = client;
    account->unsure = false;
    account->connect = page->connect_clean ? (struct span){0} : page->connect;
    page->account = account;
}

static void received_suback(struct world *world, struct client *client, const struct packet *packet)
{
    struct request **at = &client->page.requests;
    while (*at != NULL && (*at)->id != packet->id) {
        at = &(*at)->next;
    }
    if (*at == NULL || client->page.account == NULL) {
        return;
    }
    struct span list = (*at)->filters;
    struct span filter;
    *at = (*at)->next;
    for (size_t i = 0; i < packet->payload.size && take_filter(&list, &filter) && list.size > 0; i++) {
        release_holding(client->page.account, filter);
        if (packet->payload.bytes[i] == 1 || packet->payload.bytes[i] == 2) {
            struct holding *holding = arena_take(&world->arena, sizeof *holding);
            *holding = (struct holding){client->page.account->holdings, filter, ++world->ledger.moment};
            client->page.account->holdings = holding;
        }
        list = (struct span){list.bytes + 1, list.size - 1};
    }
}

/* An access rule, or that $SYS is the broker's own, may keep a message from somebody. */
static bool kept_from_some(const struct world *world, struct span topic)
{
    for (const struct acl *acl = world->acls; acl != NULL; acl = acl->next) {
        if (acl->action != MIDGE_SUBSCRIBE && world_matches(acl->filter, topic)) {
            return true;
        }
    }
    return topic.size >= 4 && memcmp(topic.bytes, "$SYS", 4) == 0;
}

/* The broker has taken responsibility for the message. */
static void acknowledged(struct world *world, struct client *client, unsigned qos, uint16_t id)
{
    struct publication **at = &client->page.publications;
    while (*at != NULL && !((*at)->qos == qos && (*at)->id == id && (*at)->asked > 0)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return;
    }
    struct publication *publication = *at;
    publication->asked--;
    if (!publication->unsure && !kept_from_some(world, publication->topic)) {
        for (struct account *account = world->ledger.accounts; account != NULL; account = account->next) {
            if (held(account, publication->topic, publication->moment)) {
                debt_of(world, account, publication->topic, publication->payload)->owed++;
            }
        }
    }
    publication->unsure = true; /* a second answer is one for the same message */
    if (qos == 1) {
        remove_publication(&client->page, at);
    }
}

static void received_pubcomp(struct client *client, uint16_t id)
{
    struct publication **at = &client->page.publications;
    while (*at != NULL && !((*at)->qos == 2 && (*at)->id == id && (*at)->released)) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        remove_publication(&client->page, at);
    }
}

void ledger_received(struct world *world, struct client *client, const struct packet *packet)
{
    if (!world->ledger.kept) {
        return;
    }
    if (packet->type == CONNACK) {
        received_connack(world, client, packet);
    } else if (packet->type == SUBACK) {
        received_suback(world, client, packet);
    } else if (packet->type == PUBACK || packet->type == PUBREC) {
        acknowledged(world, client, packet->type == PUBACK ? 1 : 2, packet->id);
    } else if (packet->type == PUBCOMP) {
        received_pubcomp(client, packet->id);
    } else if (packet->type == PUBLISH && packet->qos > 0 && !packet->retain && client->page.account != NULL &&
               !(packet->dup && ids_has(client->in_flight, packet->id))) {
        debt_of(world, client->page.account, packet->topic, packet->payload)->got++;
    }
}

void ledger_ended(struct world *world, struct client *client)
{
    struct account *account = client->page.account;
    if (!world->ledger.kept) {
        return;
    }
    if (account != NULL && account->client == client && account->connect.size == 0) {
        write_off(account);
    }
    /* What has no answer yet may have been taken or not. One of QoS 2 may be sent again and is then the same message. */
    for (struct publication **at = &client->page.publications; *at != NULL;) {
        (*at)->asked = 0;
        (*at)->unsure = (*at)->unsure || (*at)->released;
        (*at)->released = false;
        if ((*at)->qos == 1) {
            remove_publication(&client->page, at);
        } else {
            at = &(*at)->next;
        }
    }
    client->page.requests = NULL;
    client->page.account = NULL;
}

/* ---- The end ------------------------------------------------------------------------------------------------------------ */

/* Acknowledges what the client has received and left without an answer so far. */
static void answer_old(struct world *world, struct client *client)
{
    uint8_t answered[sizeof client->in_flight] = {0};
    struct buffer bytes = {0};
    for (const struct received *at = client->history; at != NULL; at = at->next) {
        const struct packet *packet = &at->packet;
        if (packet->qos > 0 && ids_has(client->in_flight, packet->id) && !ids_has(answered, packet->id)) {
            ids_set(answered, packet->id, true);
            encode_ack(&bytes, packet->qos == 1 ? PUBACK : PUBREC, packet->id);
        }
    }
    if (bytes.size > 0) {
        world_send(world, client, (struct span){bytes.bytes, bytes.size});
    }
    buffer_free(&bytes);
}

static void leave(struct world *world, struct client *client)
{
    if (client->open) {
        world_lose(world, client);
        world_turn(world);
    }
}

static void serve_the_present(struct world *world)
{
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        client->reads = client->acknowledges = true;
        if (client->open && client->said.size == 0 && client->page.account != NULL) {
            answer_old(world, client);
        } else {
            leave(world, client); /* in the middle of a packet, or not accepted: it cannot acknowledge */
        }
    }
    world_turn(world);
    /* An answer may wait behind a message that has no room. */
    (void)world_waits_end(world);
}

/* The session's client connects once more, and takes what it is owed. */
static void serve_the_absent(struct world *world, struct account *account)
{
    struct client *client = account->client;
    if (!world_open(world, client, 1)) {
        world_break(world, "%.*s cannot come back for its queue: no connection is left", (int)client->name.size,
                    (const char *)client->name.bytes);
        return;
    }
    world_send(world, client, account->connect);
    world_turn(world);
    if (client->open && client->page.account == NULL && world->users != NULL) {
        midge_authenticated(world->broker, client->handle, MIDGE_ACCEPT, 0);
        world_turn(world);
    }
    if (client->page.account != account) {
        world_break(world, "%.*s cannot come back for its queue", (int)client->name.size, (const char *)client->name.bytes);
    }
    leave(world, client);
}

static void check_paid(struct world *world, const struct account *account)
{
    char topic[160];
    char payload[80];
    const struct debt *debt = account->unsure ? NULL : unpaid(account);
    if (debt != NULL) {
        world_break(world, "lost: %.*s received %s \"%s\" %u times, and %u were acknowledged to publishers",
                    (int)account->client_id.size, (const char *)account->client_id.bytes,
                    span_print(debt->topic, topic, sizeof topic), span_print(debt->payload, payload, sizeof payload), debt->got,
                    debt->owed);
    }
}

void ledger_settle(struct world *world)
{
    /* Only losses are of interest now, and a connection of its own for each piece takes long. */
    world->delivery = (struct delivery){"whole", 0, 65536, false};
    serve_the_present(world);
    for (struct account *account = world->ledger.accounts; account != NULL; account = account->next) {
        if (account->connect.size == 0) {
            check_paid(world, account);
        }
    }
    /* One after the other, since there may be room for one only. */
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        leave(world, client);
    }
    for (struct account *account = world->ledger.accounts; account != NULL && !world->broken; account = account->next) {
        if (!account->unsure && account->connect.size > 0 && unpaid(account) != NULL) {
            serve_the_absent(world, account);
        }
    }
    for (struct account *account = world->ledger.accounts; account != NULL; account = account->next) {
        check_paid(world, account);
    }
}
