/* SPDX-License-Identifier: Apache-2.0
 * Descriptions in the style of phones and PBXes in use, written for these tests. */
#ifndef RINGWALL_TESTS_SDP_SAMPLES_H
#define RINGWALL_TESTS_SDP_SAMPLES_H

/* 30 bytes 0x01..0x1e and 46 bytes 0x01..0x2e in base64. */
#define KEY_30 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e"
#define KEY_46 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLg"

#define SAMPLE_LINPHONE \
	"v=0\r\n" \
	"o=alice 1482 3141 IN IP4 192.168.1.23\r\n" \
	"s=Talk\r\n" \
	"c=IN IP4 192.168.1.23\r\n" \
	"t=0 0\r\n" \
	"a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r\n" \
	"a=record:off\r\n" \
	"m=audio 7078 RTP/SAVP 96 97 98 0 8 101\r\n" \
	"a=rtpmap:96 opus/48000/2\r\n" \
	"a=fmtp:96 useinbandfec=1\r\n" \
	"a=rtpmap:97 speex/16000\r\n" \
	"a=fmtp:97 vbr=on\r\n" \
	"a=rtpmap:98 speex/8000\r\n" \
	"a=fmtp:98 vbr=on\r\n" \
	"a=rtpmap:101 telephone-event/48000\r\n" \
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 "\r\n" \
	"a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:" KEY_46 "==\r\n" \
	"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 " UNENCRYPTED_SRTCP\r\n" \
	"m=video 9078 RTP/SAVP 99\r\n" \
	"a=rtpmap:99 VP8/90000\r\n" \
	"a=rtcp-fb:* ccm fir\r\n" \
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 "\r\n"

#define SAMPLE_BARESIP \
	"v=0\r\n" \
	"o=- 3870432127 1420934482 IN IP4 10.1.2.3\r\n" \
	"s=-\r\n" \
	"c=IN IP4 10.1.2.3\r\n" \
	"t=0 0\r\n" \
	"a=tool:baresip 1.0.0\r\n" \
	"m=audio 16422 RTP/SAVPF 0 8 101\r\n" \
	"a=rtpmap:0 PCMU/8000\r\n" \
	"a=rtpmap:8 PCMA/8000\r\n" \
	"a=rtpmap:101 telephone-event/8000\r\n" \
	"a=fmtp:101 0-15\r\n" \
	"a=rtcp:16423\r\n" \
	"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:" KEY_30 "\r\n" \
	"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 "\r\n" \
	"a=sendrecv\r\n" \
	"a=label:1\r\n" \
	"a=rtcp-rsize\r\n" \
	"a=ssrc:2863311530 cname:sip:alice@voip.example.org\r\n" \
	"a=ptime:20\r\n"

#define SAMPLE_YEALINK \
	"v=0\r\n" \
	"o=- 20015 20015 IN IP4 192.168.0.50\r\n" \
	"s=SDP data\r\n" \
	"c=IN IP4 192.168.0.50\r\n" \
	"t=0 0\r\n" \
	"m=audio 11780 RTP/AVP 9 0 8 18 101\r\n" \
	"a=rtpmap:9 G722/8000\r\n" \
	"a=rtpmap:0 PCMU/8000\r\n" \
	"a=rtpmap:8 PCMA/8000\r\n" \
	"a=rtpmap:18 G729/8000\r\n" \
	"a=fmtp:18 annexb=no\r\n" \
	"a=ptime:20\r\n" \
	"a=sendonly\r\n" \
	"a=rtpmap:101 telephone-event/8000\r\n" \
	"a=fmtp:101 0-15\r\n"

#define SAMPLE_PJSIP \
	"v=0\r\n" \
	"o=- 3873216543 3873216544 IN IP4 198.51.100.7\r\n" \
	"s=pjmedia\r\n" \
	"b=AS:352\r\n" \
	"t=0 0\r\n" \
	"a=X-nat:0\r\n" \
	"m=audio 4000 RTP/AVP 96 3 8 120 121\r\n" \
	"c=IN IP4 198.51.100.7\r\n" \
	"b=TIAS:64000\r\n" \
	"a=rtcp:4001 IN IP4 198.51.100.7\r\n" \
	"a=sendrecv\r\n" \
	"a=rtpmap:96 speex/16000\r\n" \
	"a=rtpmap:3 GSM/8000\r\n" \
	"a=rtpmap:8 PCMA/8000\r\n" \
	"a=rtpmap:120 telephone-event/16000\r\n" \
	"a=fmtp:120 0-16\r\n" \
	"a=rtpmap:121 telephone-event/8000\r\n" \
	"a=fmtp:121 0-16\r\n" \
	"a=ssrc:1386720561 cname:/3f2a6c5e0c1b\r\n" \
	"m=video 4002 RTP/AVP 97\r\n" \
	"c=IN IP4 198.51.100.7\r\n" \
	"b=TIAS:256000\r\n" \
	"a=rtcp:4003 IN IP4 198.51.100.7\r\n" \
	"a=sendrecv\r\n" \
	"a=rtpmap:97 H264/90000\r\n" \
	"a=fmtp:97 profile-level-id=42e01e; packetization-mode=1\r\n" \
	"a=rtcp-fb:* nack pli\r\n"

#define SAMPLE_ASTERISK_FAX \
	"v=0\r\n" \
	"o=- 1216423443 2 IN IP4 10.0.0.10\r\n" \
	"s=Asterisk\r\n" \
	"c=IN IP4 10.0.0.10\r\n" \
	"t=0 0\r\n" \
	"m=audio 0 RTP/AVP 8\r\n" \
	"m=image 4521 udptl t38\r\n" \
	"a=T38FaxVersion:0\r\n" \
	"a=T38MaxBitRate:14400\r\n" \
	"a=T38FaxFillBitRemoval\r\n" \
	"a=T38FaxRateManagement:transferredTCF\r\n" \
	"a=T38FaxMaxDatagram:1393\r\n" \
	"a=T38FaxUdpEC:t38UDPRedundancy\r\n" \
	"a=T38VendorInfo:0xb5003c 0xfa00 3\r\n"

#define SAMPLE_BROWSER \
	"v=0\r\n" \
	"o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n" \
	"s=-\r\n" \
	"t=0 0\r\n" \
	"a=group:BUNDLE 0 1\r\n" \
	"a=extmap-allow-mixed\r\n" \
	"a=msid-semantic: WMS 5f1c0a8e\r\n" \
	"m=audio 51472 UDP/TLS/RTP/SAVPF 111 63 0 8 126\r\n" \
	"c=IN IP4 203.0.113.99\r\n" \
	"a=rtcp:9 IN IP4 0.0.0.0\r\n" \
	"a=candidate:1467250027 1 udp 2122260223 192.168.7.7 51472 typ host generation 0 network-id 1\r\n" \
	"a=ice-ufrag:8hhY\r\n" \
	"a=ice-pwd:asd88fgpdd777uzjYhagZg00\r\n" \
	"a=ice-options:trickle\r\n" \
	"a=fingerprint:sha-256 " \
	"12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD\r\n" \
	"a=setup:actpass\r\n" \
	"a=mid:0\r\n" \
	"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n" \
	"a=sendrecv\r\n" \
	"a=msid:5f1c0a8e 7a02\r\n" \
	"a=rtcp-mux\r\n" \
	"a=rtpmap:111 opus/48000/2\r\n" \
	"a=rtcp-fb:111 transport-cc\r\n" \
	"a=fmtp:111 minptime=10;useinbandfec=1\r\n" \
	"a=rtpmap:63 red/48000/2\r\n" \
	"a=fmtp:63 111/111\r\n" \
	"a=rtpmap:0 PCMU/8000\r\n" \
	"a=rtpmap:8 PCMA/8000\r\n" \
	"a=rtpmap:126 telephone-event/8000\r\n" \
	"a=ssrc:3570614608 cname:/SL7hBhW9rFCLEr6\r\n"

#define SAMPLE_IPV6_LF \
	"v=0\n" \
	"o=- 1 1 IN IP6 2001:db8::5\n" \
	"s= \n" \
	"c=IN IP6 2001:db8::5\n" \
	"t=0 0\n" \
	"a=inactive\n" \
	"m=audio 5004 RTP/AVP 0\n"

static const char *const samples[] = {
	SAMPLE_LINPHONE,     SAMPLE_BARESIP, SAMPLE_YEALINK, SAMPLE_PJSIP,
	SAMPLE_ASTERISK_FAX, SAMPLE_BROWSER, SAMPLE_IPV6_LF,
};
#define SAMPLE_COUNT (sizeof(samples) / sizeof(samples[0]))

#endif
