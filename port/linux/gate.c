#define _GNU_SOURCE
#include "gate.h"

#include "hash.h"
#include "logger.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define AUTO_ID_DIGITS 16u

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

struct midge_gate_memory midge_gate_row(const struct midge_settings *settings, enum midge_gate_row row)
{
    const struct midge_limits *limits = &settings->core.limits;
    uint32_t connections = limits->clients + limits->handshakes;
    uint32_t identities = limits->sessions + connections + MIDGE_IDENTITIES_FIRST;
    uint32_t addresses = connections + MIDGE_FAILURES_MAX + 1;
    /* Two of what is read from files: those in use, and those that are being read. */
    const struct midge_gate_memory rows[MIDGE_GATE_ROW_COUNT] = {
        [MIDGE_GATE_USERS] = {"users", 2 * (settings->user_max + 1), sizeof(struct midge_account)},
        [MIDGE_GATE_USER_BUCKETS] = {"user buckets", 2 * (settings->user_max + 1), sizeof(uint32_t)},
        [MIDGE_GATE_RULES] = {"rules", 2 * (settings->rule_max + 1), sizeof(struct midge_rule)},
        [MIDGE_GATE_TEXT] = {"names and filters", 2 * (settings->user_max + settings->rule_max + 64), MIDGE_TEXT_EACH},
        [MIDGE_GATE_IDENTITIES] = {"identities", identities, midge_identity_size(settings->identity_size)},
        [MIDGE_GATE_IDENTITY_BUCKETS] = {"identity buckets", identities, sizeof(uint32_t)},
        [MIDGE_GATE_ADDRESSES] = {"addresses", addresses, sizeof(struct midge_address)},
        [MIDGE_GATE_ADDRESS_BUCKETS] = {"address buckets", addresses, sizeof(uint32_t)},
        [MIDGE_GATE_VISITORS] = {"visitors", connections + 1, sizeof(struct midge_visitor)},
        [MIDGE_GATE_LOGINS] = {"logins", settings->login_max + 1, midge_pending_size(settings->identity_size)},
        [MIDGE_GATE_HASH_JOBS] = {"hash jobs", settings->login_max, sizeof(struct midge_hash_job)},
        [MIDGE_GATE_HASH_QUEUE] = {"hash queue", settings->login_max, sizeof(uint32_t)},
    };
    return rows[row];
}

void midge_gate_start(struct midge_gate *gate, uint8_t *memory, const struct midge_settings *settings, uint64_t seed)
{
    void *places[MIDGE_GATE_ROW_COUNT];
    uint32_t counts[MIDGE_GATE_ROW_COUNT];
    for (unsigned i = 0; i < MIDGE_GATE_ROW_COUNT; i++) {
        struct midge_gate_memory row = midge_gate_row(settings, (enum midge_gate_row)i);
        places[i] = memory;
        counts[i] = row.count;
        memory += MIDGE_ALIGN_UP(row.count * row.entry_size);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct midge_accounts *table = &gate->tables[i];
        table->account_max = counts[MIDGE_GATE_USERS] / 2;
        table->rule_max = counts[MIDGE_GATE_RULES] / 2;
        table->text_max = counts[MIDGE_GATE_TEXT] / 2 * MIDGE_TEXT_EACH;
        table->accounts = (struct midge_account *)places[MIDGE_GATE_USERS] + i * table->account_max;
        table->buckets = (uint32_t *)places[MIDGE_GATE_USER_BUCKETS] + i * table->account_max;
        table->rules = (struct midge_rule *)places[MIDGE_GATE_RULES] + i * table->rule_max;
        table->text = (char *)places[MIDGE_GATE_TEXT] + i * table->text_max;
    }
    gate->accounts = &gate->tables[0];
    gate->clients_max = settings->core.limits.clients;
    gate->seed = seed;
    gate->identities.identities = places[MIDGE_GATE_IDENTITIES];
    gate->identities.buckets = places[MIDGE_GATE_IDENTITY_BUCKETS];
    gate->identities.text_size = settings->identity_size;
    gate->identities.max = counts[MIDGE_GATE_IDENTITIES];
    gate->addresses.addresses = places[MIDGE_GATE_ADDRESSES];
    gate->addresses.buckets = places[MIDGE_GATE_ADDRESS_BUCKETS];
    gate->addresses.max = counts[MIDGE_GATE_ADDRESSES];
    gate->visitors = places[MIDGE_GATE_VISITORS];
    gate->visitor_count = counts[MIDGE_GATE_VISITORS];
    gate->logins.pending = places[MIDGE_GATE_LOGINS];
    gate->logins.text_size = settings->identity_size;
    gate->logins.max = counts[MIDGE_GATE_LOGINS];
    gate->logins.hasher.jobs = places[MIDGE_GATE_HASH_JOBS];
    gate->logins.hasher.queue = places[MIDGE_GATE_HASH_QUEUE];
    gate->logins.hasher.max = counts[MIDGE_GATE_HASH_QUEUE];
    gate->logins.addresses = &gate->addresses;
    midge_accounts_clear(gate->accounts);
    midge_identities_start(&gate->identities, seed);
    midge_addresses_start(&gate->addresses, seed);
    midge_logins_start(&gate->logins);
}

/* ---- What the configuration says ---------------------------------------------------------------------------------------- */

/* Others on this host could try the passwords of a file that they can read at their leisure. */
static void check_secrecy(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0) {
        midge_logger_write(MIDGE_LEVEL_WARNING, "Every user of this host can read %s: chmod o-r it.", path);
    }
}

static bool read_files(struct midge_accounts *table, struct midge_configuration *config, size_t listener, uint8_t domain)
{
    const struct midge_security_settings *security = &config->settings.listeners[listener].security;
    size_t named = config->settings.per_listener ? listener : SIZE_MAX;
    char error[MIDGE_PATH_SIZE + 256];
    if (security->password_path[0] != '\0') {
        if (!midge_accounts_read(table, domain, security->password_path, error, sizeof(error))) {
            midge_config_wrong(config, named, "password_file", "%s", error);
            return false;
        }
        check_secrecy(security->password_path);
    }
    if (security->acl_path[0] != '\0' && !midge_rights_read(table, domain, security->acl_path, error, sizeof(error))) {
        midge_config_wrong(config, named, "acl_file", "%s", error);
        return false;
    }
    return true;
}

/* Without users and without a word about it, clients may come in where only this host can. */
static bool anonymous_allowed(const struct midge_gate *gate, const struct midge_security_settings *security)
{
    if (security->allow_anonymous == MIDGE_ANONYMOUS_UNSET) {
        return !gate->beyond_loopback && security->password_path[0] == '\0';
    }
    return security->allow_anonymous == MIDGE_ANONYMOUS_YES;
}

static void take_listener(struct midge_gate *gate, const struct midge_settings *settings, size_t i)
{
    const struct midge_listener_settings *from = &settings->listeners[i];
    struct midge_gate_listener *to = &gate->listeners[i];
    to->domain = settings->per_listener ? (uint8_t)i : 0;
    to->anonymous = anonymous_allowed(gate, &from->security);
    to->use_username_as_clientid = from->use_username_as_clientid;
    to->named_by_tls = from->tls.identity_as_username || from->tls.subject_as_username;
    memcpy(to->auto_id_prefix, from->security.auto_id_prefix, sizeof(to->auto_id_prefix));
    /* The core has the same number for all listeners, and knows better who is taken over. */
    to->connections_max = from->connections_max < gate->clients_max ? from->connections_max : UINT32_MAX;
}

static void send_away(void *context, uint32_t who)
{
    struct midge_gate *gate = context;
    for (midge_index i = 1; i < gate->visitor_count; i++) {
        if (gate->visitors[i].accepted && gate->visitors[i].known && gate->visitors[i].who == who) {
            gate->visitors[i].sent_away = true;
            gate->send_away(gate->context, i);
        }
    }
}

/* Those who came in without a user name where that is not allowed any more. */
static void send_anonymous_away(struct midge_gate *gate)
{
    struct midge_asker asker;
    for (midge_index i = 1; i < gate->visitor_count; i++) {
        const struct midge_visitor *visitor = &gate->visitors[i];
        if (visitor->accepted && !gate->listeners[visitor->listener].anonymous &&
            (!midge_identities_asker(&gate->identities, visitor->who, &asker) || !asker.has_user)) {
            gate->visitors[i].sent_away = true;
            gate->send_away(gate->context, i);
        }
    }
}

bool midge_gate_load(struct midge_gate *gate, struct midge_configuration *config)
{
    const struct midge_settings *settings = &config->settings;
    struct midge_accounts *old = gate->accounts;
    struct midge_accounts *new = old == &gate->tables[0] ? &gate->tables[1] : &gate->tables[0];
    midge_accounts_clear(new);
    size_t domains = settings->per_listener ? settings->listener_count : 1;
    for (size_t i = 0; i < domains; i++) {
        if (!read_files(new, config, i, (uint8_t)i)) {
            return false;
        }
    }
    gate->accounts = new;
    gate->has_rights = false;
    for (size_t i = 0; i < settings->listener_count; i++) {
        take_listener(gate, settings, i);
        gate->has_rights = gate->has_rights || new->domains[gate->listeners[i].domain].has_rights;
    }
    memcpy(gate->clientid_prefixes, settings->clientid_prefixes, sizeof(gate->clientid_prefixes));
    gate->keepalive_max_s = settings->keepalive_max_s;
    gate->connections_per_address_max = settings->connections_per_address_max;
    if (gate->broker != NULL) {
        midge_logins_renew(&gate->logins, old, new);
        midge_identities_renew(&gate->identities, old, new, send_away, gate);
        send_anonymous_away(gate);
    }
    return true;
}

/* ---- Coming and going --------------------------------------------------------------------------------------------------- */

/* Returns false for a peer that has no address. */
static bool key_of(const struct sockaddr_storage *peer, uint64_t *key)
{
    if (peer->ss_family == AF_INET) {
        *key = midge_address_key((const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr, false);
    } else if (peer->ss_family == AF_INET6) {
        *key = midge_address_key((const uint8_t *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, true);
    }
    return peer->ss_family == AF_INET || peer->ss_family == AF_INET6;
}

bool midge_gate_admits(struct midge_gate *gate, const struct sockaddr_storage *peer)
{
    uint64_t key;
    if (gate->connections_per_address_max == 0 || !key_of(peer, &key)) {
        return true;
    }
    uint32_t address = midge_addresses_find(&gate->addresses, key);
    bool admitted = address == 0 || gate->addresses.addresses[address].connections < gate->connections_per_address_max;
    gate->refused += admitted ? 0 : 1;
    return admitted;
}

void midge_gate_arrived(struct midge_gate *gate, midge_index index, uint8_t listener, const struct sockaddr_storage *peer)
{
    uint64_t key;
    gate->visitors[index] = (struct midge_visitor){.listener = listener};
    if (key_of(peer, &key)) {
        gate->visitors[index].address = midge_addresses_enter(&gate->addresses, key);
    }
}

void midge_gate_left(struct midge_gate *gate, midge_index index)
{
    struct midge_visitor *visitor = &gate->visitors[index];
    if (visitor->waiting) {
        midge_logins_abandon(&gate->logins, visitor->login);
    }
    if (visitor->accepted) {
        gate->listeners[visitor->listener].connections--;
    }
    if (visitor->known) {
        midge_identities_leave(&gate->identities, visitor->who);
    }
    if (visitor->address != 0) {
        midge_addresses_leave(&gate->addresses, visitor->address);
    }
    *visitor = (struct midge_visitor){0};
}

/* ---- Logging in --------------------------------------------------------------------------------------------------------- */

/* The name by which the client is to be known: its own, its user's, or one that is made up in `made_up`. */
static struct midge_view client_id_of(const struct midge_gate_listener *listener, const struct midge_login *login,
                                      char made_up[MIDGE_PREFIX_SIZE + AUTO_ID_DIGITS])
{
    static const char digits[] = "0123456789abcdef";
    if (listener->use_username_as_clientid && login->has_username) {
        return login->username;
    }
    if (login->client_id.size > 0) {
        return login->client_id;
    }
    uint8_t random[AUTO_ID_DIGITS / 2];
    (void)!getrandom(random, sizeof(random), 0);
    const char *prefix = listener->auto_id_prefix[0] != '\0' ? listener->auto_id_prefix : "midge-";
    size_t used = strlen(prefix);
    memcpy(made_up, prefix, used);
    for (size_t i = 0; i < sizeof(random); i++) {
        made_up[used++] = digits[random[i] >> 4];
        made_up[used++] = digits[random[i] & 15];
    }
    return (struct midge_view){(const uint8_t *)made_up, (uint32_t)used};
}

/* Whether a client of the same name is connected to this listener, which this one is then going to replace. */
static bool replaces(const struct midge_gate *gate, const struct midge_visitor *visitor)
{
    for (uint32_t i = 1; i < gate->visitor_count; i++) {
        const struct midge_visitor *other = &gate->visitors[i];
        if (other->accepted && other->listener == visitor->listener && other->client == visitor->client) {
            return true;
        }
    }
    return false;
}

/* What can be said without looking for a user. */
static enum midge_refusal check(const struct midge_gate *gate, const struct midge_visitor *visitor,
                                const struct midge_login *login, struct midge_view client_id)
{
    const struct midge_gate_listener *listener = &gate->listeners[visitor->listener];
    size_t prefix_size = strlen(gate->clientid_prefixes);
    if (gate->keepalive_max_s != 0 && (login->keepalive_s == 0 || login->keepalive_s > gate->keepalive_max_s)) {
        return MIDGE_REFUSAL_KEEPALIVE;
    }
    if (prefix_size > 0 &&
        (client_id.size < prefix_size || memcmp(client_id.bytes, gate->clientid_prefixes, prefix_size) != 0)) {
        return MIDGE_REFUSAL_PREFIX;
    }
    if (listener->connections >= listener->connections_max && !replaces(gate, visitor)) {
        return MIDGE_REFUSAL_CONNECTIONS;
    }
    return MIDGE_REFUSAL_NONE;
}

static enum midge_verdict refuse(struct midge_gate *gate, struct midge_visitor *visitor, enum midge_refusal refusal)
{
    visitor->refusal = (uint8_t)refusal;
    if (visitor->address != 0) {
        visitor->failures = midge_addresses_failures(&gate->addresses, visitor->address, gate->now_ms);
    }
    switch (refusal) {
    case MIDGE_REFUSAL_KEEPALIVE:
    case MIDGE_REFUSAL_NAMES:
        return MIDGE_REFUSE_IDENTIFIER; /* for the keep alive, as Mosquitto */
    case MIDGE_REFUSAL_BUSY:
    case MIDGE_REFUSAL_FAILURES:
    case MIDGE_REFUSAL_CONNECTIONS:
        return MIDGE_REFUSE_UNAVAILABLE;
    case MIDGE_REFUSAL_NONE:
    case MIDGE_REFUSAL_ANONYMOUS:
    case MIDGE_REFUSAL_UNNAMED:
    case MIDGE_REFUSAL_NOBODY:
    case MIDGE_REFUSAL_PASSWORD:
    case MIDGE_REFUSAL_PREFIX:
        break;
    }
    return MIDGE_REFUSE_UNAUTHORIZED;
}

/* The client may come in. It gets a number of its own where something may depend on its names. */
static enum midge_verdict let_in(struct midge_gate *gate, struct midge_visitor *visitor, const struct midge_asker *asker)
{
    visitor->who = asker->domain;
    if (!asker->has_user && !gate->accounts->domains[asker->domain].has_rights) {
        return MIDGE_ACCEPT;
    }
    uint32_t who = midge_identities_enter(&gate->identities, asker);
    if (who == 0) {
        return refuse(gate, visitor, MIDGE_REFUSAL_NAMES);
    }
    visitor->who = who;
    visitor->known = true;
    return MIDGE_ACCEPT;
}

/* Checks a password, now or later. */
static enum midge_verdict check_password(struct midge_gate *gate, struct midge_visitor *visitor,
                                         const struct midge_login *login, const struct midge_asker *asker)
{
    const struct midge_accounts *accounts = gate->accounts;
    bool there = asker->account != MIDGE_ACCOUNT_NONE && accounts->accounts[asker->account].has_password;
    uint32_t compared = there ? asker->account : midge_accounts_decoy(accounts, asker->domain, login->username, gate->seed);
    if (visitor->address != 0 && gate->addresses.addresses[visitor->address].waiting >= MIDGE_WAITING_MAX) {
        return refuse(gate, visitor, MIDGE_REFUSAL_FAILURES);
    }
    const struct midge_password *expected = &accounts->accounts[compared].password;
    bool at_once = compared == MIDGE_ACCOUNT_NONE || expected->iterations == 0;
    bool good = compared != MIDGE_ACCOUNT_NONE && at_once &&
                midge_password_matches(expected, login->password.bytes, login->password.size) && there && login->has_password;
    if (good) {
        return let_in(gate, visitor, asker);
    }
    uint32_t number = midge_logins_add(&gate->logins, login->conn, visitor->address, asker);
    if (number == 0) {
        return refuse(gate, visitor, MIDGE_REFUSAL_BUSY);
    }
    visitor->login = number;
    visitor->waiting = true;
    if (at_once) {
        midge_logins_fail(&gate->logins, number, gate->now_ms);
    } else {
        midge_logins_hash(&gate->logins, number, expected, login->password, !there || !login->has_password);
    }
    return MIDGE_PENDING;
}

/* Puts the name that TLS vouches for in the place of what the client says. Returns false where there is none. */
static bool name_by_tls(const struct midge_gate *gate, struct midge_login *login)
{
    const char *identity = gate->identity(gate->context, login->conn);
    login->has_username = identity != NULL;
    login->username = (struct midge_view){(const uint8_t *)identity, identity != NULL ? (uint32_t)strlen(identity) : 0};
    return identity != NULL;
}

enum midge_verdict midge_gate_authenticate(void *context, const struct midge_login *login, uint32_t *who)
{
    struct midge_gate *gate = context;
    struct midge_login named = *login;
    struct midge_visitor *visitor = &gate->visitors[login->conn.index];
    const struct midge_gate_listener *listener = &gate->listeners[login->listener];
    if (listener->named_by_tls && !name_by_tls(gate, &named)) {
        return refuse(gate, visitor, MIDGE_REFUSAL_UNNAMED);
    }
    login = &named;
    char made_up[MIDGE_PREFIX_SIZE + AUTO_ID_DIGITS];
    struct midge_asker asker = {.domain = listener->domain,
                                .has_user = login->has_username,
                                .user = login->username,
                                .client_id = client_id_of(listener, login, made_up)};
    visitor->clean = login->clean_session;
    visitor->client = midge_hash_bytes(gate->seed, asker.client_id.bytes, asker.client_id.size);
    enum midge_refusal refusal = check(gate, visitor, login, asker.client_id);
    bool has_passwords = gate->accounts->domains[asker.domain].has_passwords && !listener->named_by_tls;
    if (refusal == MIDGE_REFUSAL_NONE && !(login->has_username && has_passwords) && !listener->anonymous &&
        !listener->named_by_tls) {
        refusal = login->has_username ? MIDGE_REFUSAL_NOBODY : MIDGE_REFUSAL_ANONYMOUS;
    }
    if (refusal == MIDGE_REFUSAL_NONE && asker.has_user &&
        asker.user.size + asker.client_id.size > gate->identities.text_size) {
        refusal = MIDGE_REFUSAL_NAMES;
    }
    if (refusal != MIDGE_REFUSAL_NONE) {
        return refuse(gate, visitor, refusal);
    }
    enum midge_verdict verdict;
    if (asker.has_user) {
        asker.account = midge_accounts_find(gate->accounts, asker.domain, asker.user);
    }
    if (asker.has_user && has_passwords) {
        verdict = check_password(gate, visitor, login, &asker);
    } else {
        verdict = let_in(gate, visitor, &asker);
    }
    *who = visitor->who;
    return verdict;
}

struct midge_view midge_gate_client_id(void *context, const struct midge_login *login)
{
    static char made_up[MIDGE_PREFIX_SIZE + AUTO_ID_DIGITS];
    struct midge_gate *gate = context;
    const struct midge_visitor *visitor = &gate->visitors[login->conn.index];
    const struct midge_gate_listener *listener = &gate->listeners[login->listener];
    struct midge_asker asker;
    if (visitor->known && midge_identities_asker(&gate->identities, visitor->who, &asker)) {
        return asker.client_id;
    }
    if (login->client_id.size == 0 && listener->auto_id_prefix[0] == '\0') {
        return (struct midge_view){NULL, 0}; /* the core's own are as good */
    }
    return client_id_of(listener, login, made_up);
}

uint64_t midge_gate_turn(struct midge_gate *gate, uint64_t now_ms)
{
    struct midge_logins *logins = &gate->logins;
    uint32_t login;
    bool good;
    gate->now_ms = now_ms;
    while ((login = midge_logins_next(logins, now_ms, &good)) != 0) {
        struct midge_handle conn = midge_logins_conn(logins, login);
        struct midge_visitor *visitor = &gate->visitors[conn.index];
        struct midge_asker asker = midge_logins_asker(logins, login);
        visitor->waiting = false;
        visitor->who = 0;
        enum midge_verdict verdict = good ? let_in(gate, visitor, &asker) : refuse(gate, visitor, MIDGE_REFUSAL_PASSWORD);
        midge_logins_release(logins, login);
        midge_authenticated(gate->broker, conn, verdict, visitor->who);
    }
    return midge_logins_due_ms(logins);
}

/* ---- Rights ------------------------------------------------------------------------------------------------------------- */

bool midge_gate_authorize(void *context, uint32_t who, enum midge_action action, struct midge_view topic)
{
    const struct midge_gate *gate = context;
    struct midge_asker asker;
    if (!gate->has_rights) {
        return true;
    }
    return midge_identities_asker(&gate->identities, who, &asker) && midge_rights_allow(gate->accounts, &asker, action, topic);
}

/* ---- The log ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *words;
    const char *settings;
} refusals[] = {
    [MIDGE_REFUSAL_NONE] = {"", ""},
    [MIDGE_REFUSAL_ANONYMOUS] = {"it gave no user name", "allow_anonymous"},
    [MIDGE_REFUSAL_NOBODY] = {"there are no users", "password_file, allow_anonymous"},
    [MIDGE_REFUSAL_PASSWORD] = {"bad user name or password", "password_file"},
    [MIDGE_REFUSAL_FAILURES] = {"too many failed logins of its host wait for their answer", "password_file"},
    [MIDGE_REFUSAL_BUSY] = {"too many logins wait", "limit_logins"},
    [MIDGE_REFUSAL_UNNAMED] = {"its certificate has no name that can be a user name",
                               "use_identity_as_username, use_subject_as_username"},
    [MIDGE_REFUSAL_PREFIX] = {"its client identifier does not start as it has to", "clientid_prefixes"},
    [MIDGE_REFUSAL_KEEPALIVE] = {"its keep alive is too long", "max_keepalive"},
    [MIDGE_REFUSAL_CONNECTIONS] = {"too many clients on this listener", "max_connections"},
    [MIDGE_REFUSAL_NAMES] = {"its user name and client identifier together are too long", "limit_identity_size"},
};

static void add_name(struct midge_text *text, struct midge_view client_id, const char *address)
{
    midge_text_add(text, "Client ");
    if (client_id.size == 0) {
        midge_text_add(text, "<unknown>");
    } else {
        midge_text_add_foreign(text, client_id);
    }
    midge_text_add(text, " at ");
    midge_text_add(text, address);
}

static void add_client(struct midge_text *text, const struct midge_log *record, const char *address)
{
    add_name(text, record->client_id, address);
}

static void add_refusal(struct midge_text *text, const struct midge_visitor *visitor, uint8_t code)
{
    midge_text_add(text, " refused with return code ");
    midge_text_add_number(text, code);
    midge_text_add(text, ": ");
    midge_text_add(text, refusals[visitor->refusal].words);
    if (visitor->refusal == MIDGE_REFUSAL_PASSWORD && visitor->failures > 1) {
        midge_text_add(text, ", failure ");
        midge_text_add_number(text, visitor->failures);
        midge_text_add(text, " of this host");
    }
    midge_text_add(text, " (setting: ");
    midge_text_add(text, refusals[visitor->refusal].settings);
    midge_text_add(text, ").");
}

void midge_gate_note(struct midge_gate *gate, const struct midge_log *record)
{
    struct midge_visitor *visitor = &gate->visitors[record->conn.index];
    if (record->event == MIDGE_LOG_CONNECTED) {
        visitor->accepted = true;
        gate->listeners[visitor->listener].connections++;
        if (visitor->known) {
            midge_identities_keep(&gate->identities, visitor->who, !visitor->clean);
        }
    }
}

bool midge_gate_line(const struct midge_gate *gate, const struct midge_log *record, const char *address,
                     struct midge_text *text)
{
    const struct midge_visitor *visitor = &gate->visitors[record->conn.index];
    if (record->event == MIDGE_LOG_REFUSED && visitor->refusal != MIDGE_REFUSAL_NONE) {
        add_client(text, record, address);
        add_refusal(text, visitor, record->code);
        return true;
    }
    if (record->event == MIDGE_LOG_DISCONNECTED && record->reason == MIDGE_CONNECT_TIMEOUT && visitor->waiting) {
        add_name(text, midge_logins_asker(&gate->logins, visitor->login).client_id, address);
        midge_text_add(text, " disconnected: its password was not hashed in time (setting: connect_timeout).");
        return true;
    }
    if (record->event == MIDGE_LOG_DISCONNECTED && visitor->sent_away) {
        add_client(text, record, address);
        midge_text_add(text, " disconnected: it may not be here any more (setting: password_file, allow_anonymous).");
        return true;
    }
    return false;
}
