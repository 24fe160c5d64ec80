#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PBX behind the gateway when phones are counted: answers every request with 200 and its own contact.

  registrar.py ADDRESS PORT
"""
import socket
import sys

COPIED = ("via", "from", "to", "call-id", "cseq", "contact")


def answer(request):
    lines = request.decode("utf-8", "replace").split("\r\n")
    if not lines[0].endswith(" SIP/2.0"):
        return None
    kept = [line + (";tag=pbx" if line[:3].lower() == "to:" and ";tag=" not in line else "") for line in lines[1:]
            if line.partition(":")[0].strip().lower() in COPIED]
    return ("\r\n".join(["SIP/2.0 200 OK"] + kept + ["Expires: 7200", "Content-Length: 0"]) + "\r\n\r\n").encode()


def main():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((sys.argv[1], int(sys.argv[2])))
        while True:
            request, source = sock.recvfrom(65535)
            reply = answer(request)
            if reply:
                sock.sendto(reply, source)


if __name__ == "__main__":
    main()
