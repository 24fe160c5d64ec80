/* SPDX-License-Identifier: Apache-2.0
 * Looks into the certificates, keys and authorities of a configuration: what a start or reload would stumble over, or phones
 * and peers later. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "net/net.h"

#define PEM_MAXIMUM_BYTES (1024 * 1024) /* as the configuration takes them */
#define NAMES_MAXIMUM (1 + CONFIG_ZONES_MAXIMUM * (1 + CONFIG_LISTENERS_MAXIMUM))

struct pem {
	char *bytes;
	size_t length;
};

static struct span pem_span(const struct pem *pem)
{
	return (struct span){pem->bytes, pem->length};
}

static bool pem_read(const char *path, struct pem *pem)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t length = -1;

	pem->length = 0;
	pem->bytes = descriptor < 0 ? NULL : memory_alloc(PEM_MAXIMUM_BYTES);
	while (pem->bytes && pem->length < PEM_MAXIMUM_BYTES &&
	       (length = read(descriptor, pem->bytes + pem->length, PEM_MAXIMUM_BYTES - pem->length)) > 0)
		pem->length += (size_t)length;
	if (descriptor >= 0)
		close(descriptor);
	return pem->bytes && length == 0;
}

static void pem_free(struct pem *pem)
{
	memory_free_secret(pem->bytes, PEM_MAXIMUM_BYTES);
}

/* ---- Names that the certificate should hold ---- */

struct names {
	struct span all[NAMES_MAXIMUM];
	size_t count;
	struct buffer texts; /* of addresses */
};

static void name_add(struct names *names, struct span name)
{
	if (name.length > 2 && name.data[0] == '[') /* as in a URI */
		name = span_slice(name, 1, name.length - 2);
	for (size_t i = 0; i < names->count; i++)
		if (span_equal_nocase(names->all[i], name))
			return;
	if (name.length && names->count < NAMES_MAXIMUM)
		names->all[names->count++] = name;
}

static void address_add(struct names *names, const struct address *address)
{
	size_t start = names->texts.length;

	if (address->family == ADDRESS_NONE || address_is_any(address))
		return;
	address_write_ip(&names->texts, address, false);
	if (!names->texts.overflow)
		name_add(names, (struct span){names->texts.data + start, names->texts.length - start});
}

static bool speaks_tls(const struct config_zone *zone)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (transport_is_secure(zone->listeners[i].transport))
			return true;
	return false;
}

/* Domains and addresses by which others reach what shows it. False: nothing does. */
static bool names_collect(const struct config *config, struct names *names)
{
	bool any = false;

	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];

		if (!speaks_tls(zone))
			continue;
		any = true;
		name_add(names, span_from(config->site.domain));
		name_add(names, span_from(zone->domain));
		for (uint8_t k = 0; k < zone->listener_count; k++)
			if (transport_is_secure(zone->listeners[k].transport))
				address_add(names, &zone->listeners[k].address);
		address_add(names, &zone->media.advertised_address);
	}
	return any;
}

static void complain_of_names(struct config_check *check, const char *path, const struct names *names)
{
	char text[400];
	struct buffer list = BUFFER_OVER(text);

	for (size_t i = 0; i < names->count && list.length < sizeof(text) - 80; i++)
		buffer_printf(&list, "%s%.*s", i ? ", " : "",
			      (int)(names->all[i].length < 64 ? names->all[i].length : 64), names->all[i].data);
	config_complain(check, false, CONFIG_NO_ZONE, "tls.certificate",
			"%s holds none of the names by which the gateway is reached over TLS (%s): who verifies it "
			"will refuse; "
			"have it issued for one of them",
			path, buffer_text(&list));
}

/* ---- The pair ---- */

static bool any_zone_asks(const struct config *config)
{
	for (uint8_t i = 0; i < config->zone_count; i++)
		if (config->zones[i].client_certificate != CLIENT_CERTIFICATE_NONE)
			return true;
	return false;
}

static void facts_tell(const struct config *config, struct config_check *check, const struct names *names, bool shown,
		       const struct net_certificate_facts *facts)
{
	const char *path = config->tls.certificate;

	if (shown && !facts->names_held)
		complain_of_names(check, path, names);
	if (shown && !facts->for_servers)
		config_complain(
			check, false, CONFIG_NO_ZONE, "tls.certificate",
			"%s is not for servers (extended key usage): who connects will refuse it; have one issued for "
			"serverAuth",
			path);
	/* Where both sides show certificates, ours is looked at when we call. */
	if (any_zone_asks(config) && !facts->for_clients)
		config_complain(
			check, false, CONFIG_NO_ZONE, "tls.certificate",
			"%s is not for clients (extended key usage), and a zone has client_certificate: its peers may "
			"refuse it when they are called; have one issued for clientAuth too",
			path);
}

static void pair_inspect(const struct config *config, struct config_check *check)
{
	char address_texts[4096], error[256] = "";
	struct names names = {.texts = BUFFER_OVER(address_texts)};
	struct net_certificate_facts facts;
	struct pem certificate = {0}, key = {0};
	bool shown = names_collect(config, &names);

	if (pem_read(config->tls.certificate, &certificate) && pem_read(config->tls.key, &key)) {
		int result = net_certificate_check(pem_span(&certificate), pem_span(&key), names.all, names.count,
						   &facts, error, sizeof(error));
		bool of_key = !strncmp(error, "the key", 7);

		if (*error)
			config_complain(check, result != 0, CONFIG_NO_ZONE, of_key ? "tls.key" : "tls.certificate",
					"%s%s%s: %s; %s", of_key ? config->tls.key : config->tls.certificate,
					of_key ? " beside " : "", of_key ? config->tls.certificate : "", error,
					result ? "name a pair that belongs together, as PEM"
					       : "renew it, or set the clock");
		if (!result)
			facts_tell(config, check, &names, shown, &facts);
	}
	pem_free(&certificate);
	pem_free(&key);
}

/* ---- Authorities ---- */

static void authorities_inspect(struct config_check *check, uint8_t zone, const char *key, const char *path)
{
	char error[256] = "";
	struct pem pem = {0};
	int result = 0;

	if (!config_file_is_good(check, path))
		return;
	if (pem_read(path, &pem))
		result = net_authorities_check(pem_span(&pem), error, sizeof(error));
	if (*error)
		config_complain(check, result != 0, zone, key,
				"%s: %s; name a file of certificates that are valid, as PEM", path, error);
	pem_free(&pem);
}

void certificates_inspect(const struct config *config, struct config_check *check)
{
	if (!config->tls.generate && config_file_is_good(check, config->tls.certificate) &&
	    config_file_is_good(check, config->tls.key))
		pair_inspect(config, check);
	authorities_inspect(check, CONFIG_NO_ZONE, "tls.authorities", config->tls.authorities);
	for (uint8_t i = 0; i < config->zone_count; i++)
		authorities_inspect(check, i, "authorities", config->zones[i].authorities);
}
