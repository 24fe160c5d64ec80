# SPDX-License-Identifier: Apache-2.0
"""A phone of a few lines, for what sipp cannot say: digests of a chosen algorithm, chosen from several challenges."""

import hashlib
import re
import uuid

import kit as library

REGISTER = """REGISTER sip:{domain} SIP/2.0
Via: SIP/2.0/UDP {address}:{port};branch=z9hG4bK{branch};rport
Max-Forwards: 70
From: <sip:{user}@{domain}>;tag={tag}
To: <sip:{user}@{domain}>
Call-ID: {call}
CSeq: {number} REGISTER
Contact: <sip:{user}@{address}:{port}>
Expires: 120
{more}Content-Length: 0

"""

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def challenges(answer):
    """{algorithm: {parameter: value}} of an answer's WWW-Authenticate lines, in order."""
    found = {}
    for line in re.findall(r"(?im)^WWW-Authenticate:\s*Digest (.*?)\r?$", answer):
        values = {name.lower(): quoted or plain for name, quoted, plain in
                  re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', line)}
        found[values.get("algorithm", "MD5")] = values
    return found


def credentials(challenge, algorithm, user, password, method, uri):
    """The Authorization line (RFC 8760, RFC 7616 with qop=auth)."""
    def digest(text):
        return HASHES[algorithm](text.encode()).hexdigest()
    cnonce = uuid.uuid4().hex[:16]
    secret = digest("%s:%s:%s" % (user, challenge["realm"], password))
    response = digest("%s:%s:00000001:%s:auth:%s" % (secret, challenge["nonce"], cnonce,
                                                     digest("%s:%s" % (method, uri))))
    return ('Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s, '
            'cnonce="%s", nc=00000001, qop=auth\n' % (user, challenge["realm"], challenge["nonce"], uri, response,
                                                      algorithm, cnonce))


class Device:
    def __init__(self, address, server=(library.OUTSIDE, 5060), user="1001"):
        self.sock, self.server, self.user = library.udp_socket(address), server, user
        self.address, self.port = self.sock.getsockname()[:2]
        self.address = "[%s]" % self.address if ":" in self.address else self.address
        self.more = ""  # lines of every REGISTER
        self.tag, self.call, self.number = uuid.uuid4().hex[:8], uuid.uuid4().hex, 0

    def send(self, more=""):
        """Sends a REGISTER and returns (status, whole answer)."""
        self.number += 1
        text = REGISTER.format(domain=library.DOMAIN, address=self.address, port=self.port, user=self.user,
                               branch=uuid.uuid4().hex, tag=self.tag, call=self.call, number=self.number, more=self.more + more)
        answer = library.ask_udp(self.sock, self.server, text, 5)
        library.check(answer and answer.startswith("SIP/2.0 "), "REGISTER got no answer: %s" % answer)
        return int(answer[8:11]), answer

    def register(self, password, algorithm):
        """Registers with credentials of the algorithm; returns the last answer's status and the first challenges."""
        status, answer = self.send()
        library.check(status == 401, "no challenge but %d" % status)
        offered = challenges(answer)
        library.check(algorithm in offered, "%s is not offered, only %s" % (algorithm, list(offered)))
        line = credentials(offered[algorithm], algorithm, self.user, password, "REGISTER", "sip:" + library.DOMAIN)
        self.last = line
        return self.send(line)[0], offered
