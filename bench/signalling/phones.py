#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Phones that register once and stay: each an account and a socket (or TLS connection) of its own. Prints
{"registered": N} and holds them until standard input ends.

  phones.py udp|tls ADDRESS:PORT COUNT RATE SOURCE...
"""
import asyncio
import json
import re
import ssl
import sys
import time

import bench

REGISTER = """\
REGISTER sip:{host} SIP/2.0\r
Via: SIP/2.0/{transport} {local};branch=z9hG4bK-phone-{user};rport\r
Max-Forwards: 70\r
From: "Phone {user}" <sip:{user}@{host}>;tag=f{user}\r
To: "Phone {user}" <sip:{user}@{host}>\r
Call-ID: r{user}@{local}\r
CSeq: 1 REGISTER\r
Contact: <sip:{user}@{local};transport={lower}>;expires=3600\r
Expires: 3600\r
User-Agent: OuterPhone/1.0\r
Content-Length: 0\r
\r
"""
TIMEOUT_S = 20


def register(user, transport, host, local):
    return REGISTER.format(user=user, transport=transport.upper(), lower=transport, host=host,
                           local="%s:%d" % local).encode()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.answer = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        if not self.answer.done():
            self.answer.set_result(data)


async def phone_udp(user, remote, source, held):
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Datagrams, local_addr=(source, 0), remote_addr=remote)
    held.append(transport)
    request = register(user, "udp", remote[0], transport.get_extra_info("sockname"))
    for wait_s in (0.5, 1, 2, 4, 4, 4, 4):  # RFC 3261 timer E
        transport.sendto(request)
        done, _ = await asyncio.wait([protocol.answer], timeout=wait_s)
        if done:
            return protocol.answer.result()
    return b""


async def phone_tls(user, remote, source, held, context):
    reader, writer = await asyncio.open_connection(*remote, ssl=context, local_addr=(source, 0), limit=4096)
    held.append(writer)
    writer.write(register(user, "tls", remote[0], writer.get_extra_info("sockname")))
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT_S)


async def main(transport, remote, count, rate, sources):
    host, port = remote.rsplit(":", 1)
    remote = (host, int(port))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    held, outcomes, slots = [], {}, asyncio.Semaphore(50)

    async def one(number):
        source = sources[number % len(sources)]
        async with slots:
            try:
                answer = await (phone_udp("u%05d" % number, remote, source, held) if transport == "udp" else
                                phone_tls("u%05d" % number, remote, source, held, context))
                outcome = re.match(rb"SIP/2.0 (\d+)|", answer).group(1) or b"no answer"
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as problem:
                outcome = repr(problem).encode()
            outcomes[outcome.decode()] = outcomes.get(outcome.decode(), 0) + 1

    tasks, started = [], time.monotonic()
    for number in range(count):
        tasks.append(asyncio.create_task(one(number)))
        ahead = started + number / rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
    await asyncio.gather(*tasks)
    print(json.dumps({"registered": outcomes.pop("200", 0), "others": outcomes}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    bench.raise_limits()
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))
