#!/usr/bin/env node
// MQTT.js against a broker: mqttjs.js HOST:PORT [--small]
//
// Debian's node-mqtt is MQTT.js 4.3, the library that Node-RED 3 is built on; the options are those that Node-RED's MQTT
// nodes set by default.
"use strict";

const mqtt = require("mqtt");

const DEADLINE_MS = 300000;
const [host, port] = process.argv[2].split(":");
const small = process.argv.includes("--small");
const reference = "INTEROP_REFERENCE" in process.env;
const nodeRed = {
    protocolId: "MQTT", protocolVersion: 4, keepalive: 60, clean: true, reconnectPeriod: 15000, connectTimeout: 30000,
};

function deadline(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} did not happen in time`)), DEADLINE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What a client emits, as a queue that can be waited for.
class Queue {
    constructor() {
        this.items = [];
        this.waiting = [];
    }

    put(item) {
        const next = this.waiting.shift();
        next ? next(item) : this.items.push(item);
    }

    get(what) {
        return this.items.length ? Promise.resolve(this.items.shift())
                                 : deadline(new Promise((resolve) => this.waiting.push(resolve)), what);
    }
}

class Peer {
    constructor(clientId, options) {
        this.messages = new Queue();
        this.connacks = new Queue();
        this.client = mqtt.connect({ host, port: Number(port), ...nodeRed, clientId, ...options });
        this.client.on("connect", (connack) => this.connacks.put(connack));
        this.client.on("error", (error) => this.connacks.put(error));
        this.client.on("message", (topic, payload, packet) => this.messages.put([topic, payload, packet.qos, packet.retain]));
    }

    static async open(clientId, options) {
        const peer = new Peer(clientId, options);
        peer.connack = await peer.connacks.get("CONNACK");
        if (peer.connack instanceof Error) {
            throw peer.connack;
        }
        return peer;
    }

    call(method, ...args) {
        return deadline(new Promise((resolve, reject) => {
            this.client[method](...args, (error, result) => error ? reject(error) : resolve(result));
        }), method);
    }

    subscribe(topic, qos) {
        return this.call("subscribe", topic, { qos });
    }

    publish(topic, payload, qos, retain = false) {
        return this.call("publish", topic, payload, { qos, retain });
    }

    async expect(topic, payload, qos, retain = false) {
        const got = await this.messages.get(`a message on ${topic}`);
        if (got[0] !== topic || !got[1].equals(Buffer.from(payload)) || got[2] !== qos || got[3] !== retain) {
            throw new Error(`got ${got[0]} "${got[1].toString().slice(0, 40)}" QoS ${got[2]} retain ${got[3]}, ` +
                            `expected ${topic} "${payload.toString().slice(0, 40)}" QoS ${qos} retain ${retain}`);
        }
    }

    async close() {
        await this.call("end", false, {});
        assert(this.messages.items.length === 0, `unexpected message on ${this.messages.items[0]}`);
    }
}

function assert(condition, text) {
    if (!condition) {
        throw new Error(text);
    }
}

async function qos() {
    const peer = await Peer.open("js-qos");
    for (const wanted of [0, 1, 2]) {
        const granted = await peer.subscribe("interop/js/qos", wanted);
        assert(granted[0].qos === wanted, `QoS ${granted[0].qos} was granted for ${wanted}`);
        for (const sent of [0, 1, 2]) {
            await peer.publish("interop/js/qos", `${sent}`, sent);
            await peer.expect("interop/js/qos", `${sent}`, Math.min(sent, wanted));
        }
    }
    await peer.close();
}

async function retained() {
    const peer = await Peer.open("js-retained");
    await peer.publish("interop/js/retained", "old", 1, true);
    await peer.publish("interop/js/retained", "new", 1, true);
    await peer.subscribe("interop/js/+", 1);
    await peer.expect("interop/js/retained", "new", 1, true);
    await peer.call("unsubscribe", "interop/js/+");
    await peer.publish("interop/js/retained", "", 1, true);
    await peer.subscribe("interop/js/#", 1);
    await peer.publish("interop/js/marker", "", 1);
    await peer.expect("interop/js/marker", "", 1);
    await peer.close();
}

async function wills() {
    const watcher = await Peer.open("js-watcher");
    await watcher.subscribe("interop/js/will", 2);
    for (const level of [0, 1, 2]) {
        const will = { topic: "interop/js/will", payload: `gone ${level}`, qos: level, retain: false };
        await (await Peer.open("js-polite", { will })).close();
        const dying = await Peer.open("js-dying", { will, reconnectPeriod: 0 });
        dying.client.stream.destroy();
        await watcher.expect("interop/js/will", `gone ${level}`, level);
        await dying.call("end", true, {});
    }
    await watcher.close();
}

// The library itself reconnects after its connection was cut; the session kept what came meanwhile.
async function reconnecting() {
    const other = await Peer.open("js-other");
    const peer = await Peer.open("js-session", { clean: false, reconnectPeriod: 100 });
    await peer.subscribe("interop/js/session", 1);
    for (let round = 0; round < 3; round++) {
        peer.client.stream.destroy();
        for (let i = 0; i < 10; i++) {
            await other.publish("interop/js/session", `${round} ${i}`, 1);
        }
        const connack = await peer.connacks.get("reconnecting");
        assert(connack.sessionPresent, "the session is gone");
        for (let i = 0; i < 10; i++) {
            await peer.expect("interop/js/session", `${round} ${i}`, 1);
        }
    }
    await peer.close();
    await (await Peer.open("js-session", { clean: true })).close();
    await other.close();
}

async function burst() {
    const count = small ? 100 : 2000;
    for (const level of [0, 1, 2]) {
        const publisher = await Peer.open("js-burst-out");
        const subscriber = await Peer.open("js-burst-in");
        await subscriber.subscribe("interop/js/burst", level);
        const all = [];
        for (let i = 0; i < count; i++) {
            all.push(publisher.publish("interop/js/burst", `${i}`, level));
            if (all.length === (small ? 4 : 200)) {
                await Promise.all(all.splice(0));
            }
        }
        await Promise.all(all);
        for (let i = 0; i < count; i++) {
            await subscriber.expect("interop/js/burst", `${i}`, level);
        }
        await subscriber.close();
        await publisher.close();
    }
}

async function large() {
    const payload = Buffer.alloc(small ? 1000 : 1 << 20, "0123456789abcdef-");
    const peer = await Peer.open("js-large");
    await peer.subscribe("interop/js/large", 2);
    for (const level of [0, 1, 2]) {
        await peer.publish("interop/js/large", payload, level);
        await peer.expect("interop/js/large", payload, level);
    }
    await peer.close();
}

// MQTT 3.1 works; MQTT 5 is refused with return code 1, which MQTT.js reports as an error.
async function otherVersions() {
    const old = await Peer.open("js-level3", { protocolId: "MQIsdp", protocolVersion: 3 });
    await old.subscribe("interop/js/old", 2);
    await old.publish("interop/js/old", "old", 2);
    await old.expect("interop/js/old", "old", 2);
    await old.close();
    if (!reference) { // Mosquitto speaks MQTT 5
        const peer = new Peer("js-level5", { protocolVersion: 5, reconnectPeriod: 0 });
        const answer = await peer.connacks.get("the answer to MQTT 5");
        assert(answer instanceof Error && answer.code === 1, `MQTT 5 was answered with ${answer}`);
        await peer.call("end", true, {});
    }
}

async function main() {
    for (const test of [qos, retained, wills, reconnecting, burst, large, otherVersions]) {
        console.log(`MQTT.js: ${test.name}`);
        await test();
    }
}

main().then(() => process.exit(0), (error) => {
    console.error(error);
    process.exit(1);
});
