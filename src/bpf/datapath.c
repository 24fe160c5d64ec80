/* SPDX-License-Identifier: Apache-2.0
 * Loads the media program, and attaches it to the interfaces that have the media addresses. */
#include "bpf/datapath.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media.skel.h"

#define GUARD_INTERFACES (2 * DATAPATH_SITES_MAXIMUM)
#define LOOPBACK_FORWARDING "/proc/sys/net/%s/conf/lo/forwarding"

int bpf_site_add(struct datapath_sites *table, const struct address *address, uint16_t port_first, uint16_t port_last)
{
	struct datapath_site *site = table->sites, *end = table->sites + table->count;

	port_first &= 0xfffe;
	for (; site < end; site++)
		if (site->family == address->family && memcmp(site->ip, address->ip, sizeof(site->ip)) == 0)
			break;
	if (site == end) {
		if (table->count == DATAPATH_SITES_MAXIMUM)
			return -ENOSPC;
		table->count++;
		*site = (struct datapath_site){
			.family = address->family, .port_first = port_first, .port_last = port_last};
		memcpy(site->ip, address->ip, sizeof(site->ip));
	}
	if (port_first < site->port_first)
		site->port_first = port_first;
	if (port_last > site->port_last)
		site->port_last = port_last;
	return 0;
}

/* ---- Interfaces ---- */

/* The interface that has the address; 0: none. Its name in `name`. */
static unsigned interface_find(const struct ifaddrs *all, const struct datapath_site *site, char name[IF_NAMESIZE])
{
	for (const struct ifaddrs *each = all; each; each = each->ifa_next) {
		struct address address;

		if (!each->ifa_addr || address_from_sockaddr(each->ifa_addr, &address) != 0 ||
		    address.family != site->family || memcmp(address.ip, site->ip, sizeof(site->ip)) != 0)
			continue;
		strncpy(name, each->ifa_name, IF_NAMESIZE - 1);
		return if_nametoindex(each->ifa_name);
	}
	return 0;
}

static void why(struct buffer *reason, const struct datapath_site *site, const char *interface, const char *text)
{
	struct address address = {.family = site->family};

	memcpy(address.ip, site->ip, sizeof(site->ip));
	if (reason->length)
		buffer_put(reason, "; ", 2);
	address_write_ip(reason, &address, false);
	if (*interface)
		buffer_printf(reason, " (%s)", interface);
	buffer_printf(reason, ": %s", text);
}

/* What may not be: loopback has no driver, an address that stands for all is on no one interface. Leaves in `table` the
 * others, and their interfaces in `interfaces`. */
static void sites_choose(const struct datapath_sites *wanted, struct datapath_sites *table, unsigned *interfaces,
			 struct buffer *reason)
{
	struct ifaddrs *all = NULL;

	(void)getifaddrs(&all);
	for (uint32_t i = 0; i < wanted->count; i++) {
		const struct datapath_site *site = &wanted->sites[i];
		char name[IF_NAMESIZE] = "";
		unsigned interface = interface_find(all, site, name);

		if (!interface) {
			why(reason, site, "", "no interface has this address");
		} else if (strcmp(name, "lo") == 0) {
			why(reason, site, name, "loopback has no driver that XDP could run in");
		} else {
			interfaces[table->count] = interface;
			table->sites[table->count++] = *site;
		}
	}
	if (all)
		freeifaddrs(all);
}

/* Routes are asked for on behalf of loopback (media.bpf.c), which must forward for that. What loopback brings in is from this
 * machine alone, so nobody else is let through by it. */
static int loopback_forwards(const char *version)
{
	char path[sizeof(LOOPBACK_FORWARDING) + 8], state = '0';
	struct buffer text = BUFFER_OVER(path);
	int descriptor, result = 0;

	buffer_printf(&text, LOOPBACK_FORWARDING, version);
	descriptor = open(buffer_text(&text), O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	if (read(descriptor, &state, 1) != 1)
		result = -EIO;
	close(descriptor);
	if (result || state != '0')
		return result;
	descriptor = open(path, O_WRONLY | O_CLOEXEC);
	if (descriptor < 0 || write(descriptor, "1", 1) != 1)
		result = -errno;
	if (descriptor >= 0)
		close(descriptor);
	return result;
}

static int forwarding_prepare(struct datapath_sites *table, struct buffer *reason)
{
	for (uint32_t i = 0; i < table->count; i++) {
		bool old = table->sites[i].family == DATAPATH_IPV4;
		int error = loopback_forwards(old ? "ipv4" : "ipv6");

		if (error) {
			why(reason, &table->sites[i], "lo",
			    old ? "net.ipv4.conf.lo.forwarding is 0 and cannot be set"
				: "net.ipv6.conf.lo.forwarding is 0 and cannot be set");
			return error;
		}
	}
	return 0;
}

uint32_t bpf_device_queues(uint32_t interface)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (char *)&channels};
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t count = 0;

	if (descriptor >= 0 && if_indextoname(interface, request.ifr_name) &&
	    ioctl(descriptor, SIOCETHTOOL, &request) == 0)
		count = channels.rx_count + channels.combined_count;
	if (descriptor >= 0)
		close(descriptor);
	return count ? count : 1;
}

/* ---- Loading ---- */

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static bool is_attached(const unsigned *interfaces, uint32_t count, unsigned interface)
{
	for (uint32_t i = 0; i < count; i++)
		if (interfaces[i] == interface)
			return true;
	return false;
}

/* In the driver or not at all: the generic way costs more than it saves. */
static int interface_attach(struct bpf_datapath *datapath, const struct media *program, unsigned interface)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	int link;

	if (datapath->link_count == DATAPATH_SITES_MAXIMUM)
		return -ENOSPC;
	link = bpf_link_create(bpf_program__fd(program->progs.media), (int)interface, BPF_XDP, &options);
	if (link >= 0)
		datapath->links[datapath->link_count++] = link;
	return link < 0 ? link : 0;
}

static const char *attach_error(int error)
{
	switch (error) {
	case -EBUSY: return "another XDP program is there";
	case -EOPNOTSUPP:
	case -EINVAL: return "the driver cannot run XDP as it is set up";
	case -ENOSPC: return "there are too many interfaces";
	default: return strerror(-error);
	}
}

/* Sites whose interface refuses are left out. */
static void sites_attach(struct bpf_datapath *datapath, const struct media *program, struct datapath_sites *table,
			 unsigned *interfaces, struct buffer *reason)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		unsigned interface = interfaces[i];
		char name[IF_NAMESIZE] = "";

		if (!is_attached(interfaces, kept, interface)) {
			int error = interface_attach(datapath, program, interface);
			uint32_t key = interface;

			if (error) {
				if_indextoname(interface, name);
				why(reason, &table->sites[i], name, attach_error(error));
				continue;
			}
			if (table->device_count < DATAPATH_DEVICES_MAXIMUM)
				table->devices[table->device_count++] = interface;
			bpf_map_update_elem(bpf_map__fd(program->maps.devices), &key, &key, BPF_ANY);
		}
		interfaces[kept] = interface;
		table->sites[kept++] = table->sites[i];
	}
	table->count = kept;
	memset(table->sites + kept, 0, (DATAPATH_SITES_MAXIMUM - kept) * sizeof(table->sites[0]));
}

/* ---- The shield ---- */

static bool is_guarded(const struct bpf_guard *guard, const struct address *address)
{
	for (uint32_t i = 0; i < guard->count; i++)
		if (guard->addresses[i].family == address->family &&
		    (address_is_any(&guard->addresses[i]) || address_equal_ip(&guard->addresses[i], address)))
			return true;
	return false;
}

/* Those that media has are attached already: `interfaces`, in which the others are noted, too. */
static void guard_attach(struct bpf_datapath *datapath, const struct media *program, const struct bpf_guard *guard,
			 unsigned interfaces[GUARD_INTERFACES], uint32_t count, struct buffer *reason)
{
	struct ifaddrs *all = NULL;

	(void)getifaddrs(&all);
	for (const struct ifaddrs *each = all; each; each = each->ifa_next) {
		struct address address;
		unsigned interface = if_nametoindex(each->ifa_name);
		int error;

		if (!each->ifa_addr || address_from_sockaddr(each->ifa_addr, &address) != 0 ||
		    each->ifa_flags & IFF_LOOPBACK || !is_guarded(guard, &address) ||
		    is_attached(interfaces, count, interface))
			continue;
		error = count < GUARD_INTERFACES ? interface_attach(datapath, program, interface) : -ENOSPC;
		if (error)
			buffer_printf(reason, "%s%s: %s", reason->length ? "; " : "", each->ifa_name,
				      attach_error(error));
		if (count < GUARD_INTERFACES)
			interfaces[count++] = interface;
	}
	if (all)
		freeifaddrs(all);
	if (!datapath->link_count && !reason->length)
		buffer_put_text(reason, "loopback has no driver that XDP could run in");
}

/* ---- The whole ---- */

/* Each site's flows behind the other's. */
static void flows_number(struct datapath_sites *table)
{
	table->abi = DATAPATH_ABI;
	for (uint32_t i = 0; i < table->count; i++) {
		struct datapath_site *site = &table->sites[i];

		site->flow_first = table->flow_count;
		table->flow_count += (uint32_t)(site->port_last - site->port_first) / 2 + 1;
	}
}

static int program_load(struct media **program, uint32_t flow_count)
{
	libbpf_set_print(quiet);
	*program = media__open();
	if (!*program)
		return -errno;
	bpf_map__set_max_entries((*program)->maps.flows, flow_count ? flow_count : 1);
	return media__load(*program);
}

static int sites_fill(const struct media *program, const struct datapath_sites *table)
{
	uint32_t zero = 0;
	int descriptor = bpf_map__fd(program->maps.sites);
	int error = bpf_map_update_elem(descriptor, &zero, table, BPF_ANY);

	return error ? error : bpf_map_freeze(descriptor);
}

static int copies_take(const struct bpf_map *const *maps, int *const *descriptors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		*descriptors[i] = fcntl(bpf_map__fd(maps[i]), F_DUPFD_CLOEXEC, 3);
		if (*descriptors[i] < 0)
			return -errno;
	}
	return 0;
}

static int media_take(struct bpf_datapath *datapath, const struct media *program)
{
	const struct bpf_map *maps[] = {program->maps.flows, program->maps.sites, program->maps.sockets};
	int *descriptors[] = {&datapath->flows, &datapath->sites, &datapath->sockets};

	return copies_take(maps, descriptors, sizeof(maps) / sizeof(maps[0]));
}

static int shield_take(struct bpf_datapath *datapath, const struct media *program)
{
	const struct bpf_map *maps[BPF_SHIELD_MAPS] = {
		[BPF_SHIELD_SETTINGS] = program->maps.shield_settings,
		[BPF_SHIELD_BLOCKS] = program->maps.shield_blocks,
		[BPF_SHIELD_PEERS] = program->maps.shield_peers,
		[BPF_SHIELD_LISTENERS] = program->maps.shield_listeners,
		[BPF_SHIELD_PROVEN] = program->maps.shield_proven,
		[BPF_SHIELD_COUNTERS] = program->maps.shield_counters,
	};
	int *descriptors[BPF_SHIELD_MAPS];

	for (int i = 0; i < BPF_SHIELD_MAPS; i++)
		descriptors[i] = &datapath->shield.maps[i];
	return copies_take(maps, descriptors, BPF_SHIELD_MAPS);
}

/* The program passes everything until the table of sites, and the shield's settings, are there. */
static int program_attach(struct bpf_datapath *datapath, const struct media *program, struct datapath_sites *table,
			  unsigned interfaces[GUARD_INTERFACES], const struct bpf_guard *guard, struct buffer *text,
			  struct buffer *guard_text)
{
	int error;

	sites_attach(datapath, program, table, interfaces, text);
	error = sites_fill(program, table);
	if (!error && table->count)
		error = media_take(datapath, program);
	if (!error && guard) {
		guard_attach(datapath, program, guard, interfaces, table->count, guard_text);
		error = shield_take(datapath, program);
	}
	return error ? error : datapath->link_count ? 0 : -EOPNOTSUPP;
}

int bpf_datapath_open(struct bpf_datapath *datapath, const struct datapath_sites *wanted, struct bpf_guard *guard,
		      char *reason, size_t reason_capacity)
{
	struct datapath_sites table = {0};
	unsigned interfaces[GUARD_INTERFACES];
	struct buffer text = buffer_over(reason, reason_capacity), guard_text = {0};
	struct media *program = NULL;
	int error;

	*datapath = BPF_DATAPATH_NONE;
	if (guard)
		guard_text = buffer_over(guard->reason, guard->reason_capacity);
	sites_choose(wanted, &table, interfaces, &text);
	if (table.count && forwarding_prepare(&table, &text))
		memset(&table, 0, sizeof(table));
	flows_number(&table);
	error = table.count || (guard && guard->count) ? program_load(&program, table.flow_count) : -EOPNOTSUPP;
	if (error && error != -EOPNOTSUPP) {
		const char *cause = strerror(-error);

		buffer_printf(&text, "%sthe kernel does not take the program: %s", text.length ? "; " : "", cause);
		if (guard)
			buffer_printf(&guard_text, "the kernel does not take the program: %s", cause);
	}
	if (!error)
		error = program_attach(datapath, program, &table, interfaces, guard, &text, &guard_text);
	buffer_text(&text);
	if (guard)
		buffer_text(&guard_text);
	media__destroy(program);
	if (error)
		bpf_datapath_close(datapath);
	return error;
}

void bpf_datapath_close(struct bpf_datapath *datapath)
{
	for (uint32_t i = 0; i < datapath->link_count; i++)
		close(datapath->links[i]);
	if (datapath->flows >= 0)
		close(datapath->flows);
	if (datapath->sites >= 0)
		close(datapath->sites);
	if (datapath->sockets >= 0)
		close(datapath->sockets);
	bpf_shield_close(&datapath->shield);
	*datapath = BPF_DATAPATH_NONE;
}
