# SPDX-License-Identifier: Apache-2.0
"""SRTP of another maker, for hand-made streams: libsrtp2 (AES_CM_128_HMAC_SHA1_80, AEAD_AES_128_GCM)."""

import ctypes

from kit import check

INBOUND, OUTBOUND = 2, 3  # any source
BYTES = 2048


class CryptoPolicy(ctypes.Structure):
    _fields_ = [("cipher_type", ctypes.c_uint32), ("cipher_key_len", ctypes.c_int), ("auth_type", ctypes.c_uint32),
                ("auth_key_len", ctypes.c_int), ("auth_tag_len", ctypes.c_int), ("sec_serv", ctypes.c_int)]


class Policy(ctypes.Structure):
    _fields_ = [("ssrc_type", ctypes.c_int), ("ssrc_value", ctypes.c_uint), ("rtp", CryptoPolicy), ("rtcp", CryptoPolicy),
                ("key", ctypes.c_char_p), ("keys", ctypes.c_void_p), ("num_master_keys", ctypes.c_ulong),
                ("ekt", ctypes.c_void_p), ("window_size", ctypes.c_ulong), ("allow_repeat_tx", ctypes.c_int),
                ("enc_xtn_hdr", ctypes.c_void_p), ("enc_xtn_hdr_count", ctypes.c_int), ("next", ctypes.c_void_p)]


class Srtp:
    """One direction; `key` is master key and salt."""

    library = None

    def __init__(self, key, direction, suite="AES_CM_128_HMAC_SHA1_80"):
        if not Srtp.library:
            Srtp.library = ctypes.CDLL("libsrtp2.so.1")
            check(Srtp.library.srtp_init() == 0, "libsrtp cannot be used")
        policy = Policy(ssrc_type=direction, key=key, window_size=1024)
        fill = {"AES_CM_128_HMAC_SHA1_80": "srtp_crypto_policy_set_rtp_default",
                "AEAD_AES_128_GCM": "srtp_crypto_policy_set_aes_gcm_128_16_auth"}[suite]
        for part in policy.rtp, policy.rtcp:
            getattr(self.library, fill)(ctypes.byref(part))
        self.context = ctypes.c_void_p()
        check(self.library.srtp_create(ctypes.byref(self.context), ctypes.byref(policy)) == 0, "libsrtp takes no key")

    def run(self, operation, packet):
        space = ctypes.create_string_buffer(packet, BYTES)
        length = ctypes.c_int(len(packet))
        if operation(self.context, space, ctypes.byref(length)) != 0:
            return None
        return space.raw[:length.value]

    def protect(self, packet):
        return self.run(self.library.srtp_protect, packet)

    def unprotect(self, packet):
        """None: not to be verified."""
        return self.run(self.library.srtp_unprotect, packet)
