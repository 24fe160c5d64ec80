/* SPDX-License-Identifier: Apache-2.0
 * The small tables: methods, reject reasons, limits, reason phrases. */
#include <string.h>

#include "sip/sip.h"

const struct sip_limits sip_limits_default = {
	.message_maximum_bytes = 65535,
	.body_maximum_bytes = 61440,
	.line_maximum_bytes = 8192,
	.headers_maximum = 128,
	.values_maximum = 70,
};

static const struct span method_names[SIP_METHOD_COUNT] = {
	[SIP_INVITE] = SPAN_INIT("INVITE"),
	[SIP_ACK] = SPAN_INIT("ACK"),
	[SIP_BYE] = SPAN_INIT("BYE"),
	[SIP_CANCEL] = SPAN_INIT("CANCEL"),
	[SIP_OPTIONS] = SPAN_INIT("OPTIONS"),
	[SIP_REGISTER] = SPAN_INIT("REGISTER"),
	[SIP_PRACK] = SPAN_INIT("PRACK"),
	[SIP_UPDATE] = SPAN_INIT("UPDATE"),
	[SIP_INFO] = SPAN_INIT("INFO"),
	[SIP_MESSAGE] = SPAN_INIT("MESSAGE"),
	[SIP_SUBSCRIBE] = SPAN_INIT("SUBSCRIBE"),
	[SIP_NOTIFY] = SPAN_INIT("NOTIFY"),
	[SIP_PUBLISH] = SPAN_INIT("PUBLISH"),
	[SIP_REFER] = SPAN_INIT("REFER"),
	[SIP_METHOD_OTHER] = SPAN_INIT(""),
};

const char *sip_method_name(enum sip_method method)
{
	return method < SIP_METHOD_COUNT ? method_names[method].data : "";
}

enum sip_method sip_method_parse(struct span token)
{
	for (unsigned i = 0; i < SIP_METHOD_OTHER; i++) {
		if (token.length == method_names[i].length && token.data[0] == method_names[i].data[0] &&
		    memcmp(token.data, method_names[i].data, token.length) == 0)
			return (enum sip_method)i;
	}
	return SIP_METHOD_OTHER;
}

static const struct sip_reject_row reject_rows[SIP_REJECT_COUNT] = {
#define X(name, metric, status, text) [name] = {metric, status, text},
	SIP_REJECTS(X)
#undef X
};

const struct sip_reject_row *sip_reject_row(enum sip_reject reject)
{
	return &reject_rows[reject < SIP_REJECT_COUNT ? reject : SIP_REJECT_NOT_SIP];
}

/* clang-format off */
static const struct {
	uint16_t status;
	const char *phrase;
} phrases[] = {
	{100, "Trying"}, {180, "Ringing"}, {181, "Call Is Being Forwarded"}, {182, "Queued"}, {183, "Session Progress"},
	{199, "Early Dialog Terminated"}, {200, "OK"}, {202, "Accepted"}, {204, "No Notification"},
	{300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Moved Temporarily"}, {305, "Use Proxy"},
	{380, "Alternative Service"}, {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"},
	{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {410, "Gone"},
	{412, "Conditional Request Failed"}, {413, "Request Entity Too Large"}, {414, "Request-URI Too Long"},
	{415, "Unsupported Media Type"}, {416, "Unsupported URI Scheme"}, {417, "Unknown Resource-Priority"},
	{420, "Bad Extension"}, {421, "Extension Required"}, {422, "Session Interval Too Small"},
	{423, "Interval Too Brief"}, {424, "Bad Location Information"}, {425, "Bad Alert Message"},
	{428, "Use Identity Header"}, {429, "Provide Referrer Identity"}, {430, "Flow Failed"},
	{433, "Anonymity Disallowed"}, {436, "Bad Identity Info"}, {437, "Unsupported Credential"},
	{438, "Invalid Identity Header"}, {439, "First Hop Lacks Outbound Support"},
	{440, "Max-Breadth Exceeded"}, {469, "Bad Info Package"}, {470, "Consent Needed"},
	{480, "Temporarily Unavailable"}, {481, "Call/Transaction Does Not Exist"}, {482, "Loop Detected"},
	{483, "Too Many Hops"}, {484, "Address Incomplete"}, {485, "Ambiguous"}, {486, "Busy Here"},
	{487, "Request Terminated"}, {488, "Not Acceptable Here"}, {489, "Bad Event"}, {491, "Request Pending"},
	{493, "Undecipherable"}, {494, "Security Agreement Required"}, {500, "Server Internal Error"},
	{501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Server Time-out"},
	{505, "Version Not Supported"}, {513, "Message Too Large"}, {555, "Push Notification Service Not Supported"},
	{580, "Precondition Failure"}, {600, "Busy Everywhere"}, {603, "Decline"}, {604, "Does Not Exist Anywhere"},
	{606, "Not Acceptable"}, {607, "Unwanted"}, {608, "Rejected"},
};
/* clang-format on */

const char *sip_reason_phrase(uint16_t status)
{
	static const char *const classes[] = {"",       "Progress", "OK", "Redirected", "Bad Request", "Server Error",
					      "Decline"};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return status / 100 < 7 ? classes[status / 100] : "";
}
