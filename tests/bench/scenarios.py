"""What ./dev bench measures: the loads, and the targets they are measured against.

The options are those of the load generator (load.h). The same configuration goes to Midge and to Mosquitto; it is fair to both:
the queues have no bound, so that neither drops, and the in-flight window is larger than the load's.
"""

import dataclasses

CONFIG = (
    "allow_anonymous true",
    "max_queued_messages 0",
    "max_inflight_messages 1000",
    "sys_interval 0",
    "log_type error",
)


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    options: dict
    group: str = "speed"
    relay: bool = False  # the relay can do it, too
    config: tuple = ()  # lines for both brokers
    midge_config: tuple = ()  # lines for Midge alone
    only_midge: bool = False  # Mosquitto would take minutes
    first: bool = False  # runs before everything else on the machine
    target: float = 0  # Mosquitto's CPU per delivery divided by Midge's: at least so much


def _one(**options):
    return dict(publishers=1, subscribers=1, subscriptions=1, **options)


def _fan_out(subscribers, **options):
    return dict(publishers=1, subscribers=subscribers, subscriptions=subscribers, **options)


def _pairs(count, **options):
    return dict(publishers=count, subscribers=count, subscriptions=count, topics=count, **options)


def _match(subscriptions, **options):
    return dict(publishers=1, subscribers=100, subscriptions=subscriptions, topics=subscriptions, step=7919, **options)


def _limits(subscriptions):
    """Each of the load's subscriptions has two levels of its own."""
    return (
        f"limit_subscriptions {subscriptions + 1000}",
        f"limit_filter_nodes {2 * subscriptions + 1000}",
        f"limit_names {3 * subscriptions + 200000}",
    )


PACED = _pairs(100, rate=10, messages=7)

SPEED = [
    Scenario("1-1-qos0", "1→1 QoS 0, 1,000 in flight", _one(window=1000, messages=60000), relay=True, target=16),
    Scenario("1-1-qos1", "1→1 QoS 1, 100 in flight", _one(window=100, messages=20000, qos=1), target=13),
    Scenario(
        "100-1-qos0",
        "100→1 QoS 0",
        dict(publishers=100, subscribers=1, subscriptions=1, window=10, messages=600),
        relay=True,
        target=10,
    ),
    Scenario("1-100-qos0", "1→100 QoS 0", _fan_out(100, window=20, messages=1000), relay=True, target=13),
    Scenario("1-1000-qos0", "1→1000 QoS 0", _fan_out(1000, window=20, messages=100), relay=True, target=13),
    Scenario("pairs-qos0", "100 pairs QoS 0, 10 in flight each", _pairs(100, window=10, messages=600), relay=True, target=7),
    Scenario("pairs-qos1", "100 pairs QoS 1, 10 in flight each", _pairs(100, window=10, messages=200, qos=1), target=7),
    Scenario(
        "pairs-qos1-100",
        "100 pairs QoS 1, 100 in flight each",
        _pairs(100, window=100, messages=1000, qos=1),
        target=7,
    ),
    Scenario("match-100", "one match among 100 subscriptions", _match(100, window=1000, messages=30000)),
    Scenario(
        "match-100k",
        "one match among 100,000 subscriptions",
        _match(100000, window=1000, messages=30000),
        midge_config=_limits(100000),
    ),
    Scenario("replay-10k", "10,000 retained to one `#`", dict(retained=10000), target=5),
]

LATENCY = [
    Scenario("paced", "100 pairs, 10 messages a second each", PACED, group="latency", first=True, relay=True),
    Scenario("flooded", "the same beside a flooding client", dict(PACED, flood=1), group="latency", first=True),
]

def _idle(name, title, **options):
    return Scenario(name, title, dict(idle=10000, **options), group="memory", first=True, relay=True)


def _overload(messages):
    """A blast of QoS 0 that subscribers cannot follow, with the queues as long as both brokers have them by default."""
    return Scenario(
        f"overload-{messages}",
        f"4 publishers blast {messages:,} messages each, 512 bytes, QoS 0, to 2 subscribers",
        dict(publishers=4, subscribers=2, subscriptions=2, payload=512, messages=messages),
        group="memory",
        config=("max_queued_messages 1000",),
        only_midge=messages > 40000,
    )


MEMORY = [
    _idle("idle-own", "10,000 clients, each with a filter of its own"),
    _idle("idle-shared", "10,000 clients with the same filter", shared_filter=1),
    *(_overload(messages) for messages in (10000, 40000, 160000)),
]


def _curves():
    for count in (1, 10, 100, 1000, 10000):
        messages = max(10, 50000 // count)
        options = _fan_out(count, window=max(1, min(1000, 20000 // count)), messages=messages)
        yield Scenario(f"subscribers-{count}", f"{count}", options, "subscribers", relay=True)
    for count in (100, 1000, 10000, 100000, 1000000):
        options = _match(count, window=1000, messages=20000)
        yield Scenario(
            f"subscriptions-{count}",
            f"{count}",
            options,
            "subscriptions",
            midge_config=_limits(count),
            only_midge=count > 100000,
        )
    for count in (10, 100, 1000, 4000, 10000, 19800):  # the last with 20,000 files, which is what containers often allow
        options = _pairs(count // 2, window=max(1, 2000 // count), messages=max(4, 60000 // count))
        files = (f"max_connections {count + 100}",)
        yield Scenario(f"connections-{count}", f"{count}", options, "connections", relay=True, config=files)
    for size in (0, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576):
        messages = max(64, min(20000, (64 << 20) // (size + 1)))
        window = max(4, min(1000, (4 << 20) // (size + 1)))
        options = _one(payload=size, window=window, messages=messages)
        # The relay waits for its subscriber, so that it is no floor for messages larger than the kernel's buffers.
        yield Scenario(f"payload-{size}", f"{size}", options, "payload", relay=size <= 16384)
    for count in (100, 1000, 10000, 100000):
        limits = (f"limit_topic_nodes {2 * count + 1000}", f"limit_names {2 * count + 900000}")
        yield Scenario(f"retained-{count}", f"{count}", dict(retained=count), "retained", midge_config=limits)


CURVES = list(_curves())

# The title of a curve, and what lies on its x axis.
CURVE_TITLES = {
    "subscribers": "One publisher, QoS 0: subscribers of its topic",
    "subscriptions": "One match: subscriptions of 100 clients",
    "connections": "Pairs, QoS 0: connections",
    "payload": "1→1 QoS 0: bytes of payload",
    "retained": "Replay to one `#`: retained messages",
}

ALL = SPEED + LATENCY + MEMORY + CURVES
