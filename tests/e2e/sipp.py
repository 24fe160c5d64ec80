# SPDX-License-Identifier: Apache-2.0
"""sipp as caller, callee and registering phone; the scenarios are in sipp/."""

import os

import kit as library
from kamailio import USERS

SCENARIOS = os.path.join(library.HERE, "sipp")


class Sipp:
    """One run of a scenario. Calls: how many; it ends by itself after them."""

    def __init__(self, kit, scenario, address, port, remote=None, user="1001", to="1002", transport="u1", calls=1,
                 timeout_s=30, keys=None, password=None, agent="OuterPhone/1.0"):
        self.kit, self.scenario = kit, scenario
        arguments = [library.need("sipp"), "-sf", os.path.join(SCENARIOS, scenario + ".xml"), "-i", address, "-p",
                     str(port), "-mi", address, "-t", transport, "-m", str(calls), "-l", "1", "-nostdin", "-nd",
                     "-timeout", str(timeout_s), "-timeout_error", "-trace_msg", "-message_file",
                     kit.path("%s-%s-%d.messages" % (scenario, address, kit.counter)), "-trace_err", "-error_file",
                     kit.path("%s-%s-%d.errors" % (scenario, address, kit.counter)), "-s", to,
                     "-au", user, "-ap", password or USERS.get(user, "wrong"), "-key", "user", user, "-auth_uri",
                     library.DOMAIN, "-key", "domain", library.DOMAIN, "-key", "agent", agent, "-recv_timeout", "15000"]
        self.messages_file = kit.path("%s-%s-%d.messages" % (scenario, address, kit.counter))
        for name, value in (keys or {}).items():
            arguments += ["-key", name, str(value)]
        if remote:
            arguments.append(remote)
        self.process = kit.start("sipp-" + scenario, arguments)

    def messages(self):
        try:
            with open(self.messages_file, errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def finish(self, timeout_s=40.0):
        """Waits for the end; fails with what sipp says if the scenario did not go as written."""
        code = self.process.wait(timeout_s)
        if code != 0:
            errors = self.messages_file.replace(".messages", ".errors")
            text = open(errors, errors="replace").read()[-1500:] if os.path.exists(errors) else ""
            raise library.Failure("sipp %s: exit code %d\n%s" % (self.scenario, code, text or
                                                                 self.messages()[-1500:]))
        return self


def register(kit, address, port, remote, user="1001", transport="u1", expires=120, contact=None,
             scenario="register", **more):
    """Registers a contact at address:port and returns when it is done; a callee may then take the port."""
    keys = {"expires": expires, "contact": contact or "<sip:%s@%s:%d>;expires=%d" % (user, address, port, expires)}
    return Sipp(kit, scenario, address, port, remote, user=user, to=user, transport=transport, keys=keys,
                **more).finish()
