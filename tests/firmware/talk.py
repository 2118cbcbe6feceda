"""Clients that all subscribe to a topic at QoS 1, and say something there at once."""

import board
import wire


def say(senders, words, topic="talk"):
    for number, client in enumerate(senders):
        client.send(wire.publish_packet(topic, f"{words} {number}", 1, client.identifier()))


def hear(clients, senders, words):
    """Everybody gets everything once, and all is acknowledged."""
    wanted = {f"{words} {number}".encode() for number in range(len(senders))}
    for client in clients:
        heard, acknowledged = set(), client not in senders
        while heard != wanted or not acknowledged:
            found = client.receive()
            if found.type == wire.PUBACK:
                acknowledged = True
                continue
            message = client._message(found)
            board.expect(message.payload in wanted - heard, f"heard {message.payload} twice, or out of place")
            heard.add(message.payload)
            client.acknowledge(message)
