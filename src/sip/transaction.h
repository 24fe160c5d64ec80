/* SPDX-License-Identifier: Apache-2.0
 * Private to src/sip: what the files of the transaction layer share. sip.h has the contract.
 *
 * Who frees what: a transaction ends only in its own `end` timer, so that no pointer of a user's goes stale
 * while one of his calls into the layer runs. What cannot go on starts that timer with no delay. */
#ifndef RINGWALL_SIP_TRANSACTION_H
#define RINGWALL_SIP_TRANSACTION_H

#include "base/list.h"
#include "base/table.h"
#include "sip/sip.h"

#define TRANSACTION_KEY_INLINE 96    /* the key of an ordinary request fits */
#define TRANSACTION_KEY_MAXIMUM 4096 /* a longer one is nobody's: dropped as a stray */
#define TRANSACTION_SCRATCH_BYTES 16384
#define TRANSACTION_ARENA_BYTES 32768
#define TRANSACTION_TRYING_MS 200 /* RFC 3261 section 17.2.1 */

struct sip_transactions {
	struct sip_transaction_limits limits;
	struct sip_transaction_callbacks callbacks;
	struct timer_wheel *wheel;
	struct random_source random;
	struct table *servers, *clients;
	struct table *connections; /* clients on streams, by connection */
	struct pool *server_pool, *client_pool;
	struct list server_list, client_list; /* for sip_transactions_free */
	struct list unproven_list;            /* server transactions that a full table gives up first, oldest first */
	struct sip_transaction_statistics statistics;
	uint8_t tag_key[HASH_KEY_BYTES]; /* of the tags in stateless answers */
	char *scratch;                   /* messages are written here */
	char *arena;                     /* and our own requests parsed */
};

/* What RFC 3261 section 17.2.3 matches requests by, as canonical bytes. */
struct transaction_key {
	uint64_t hash;
	uint32_t length;
	char *bytes;
};

enum server_state {
	SERVER_TRYING,     /* nothing sent yet; of INVITE: Proceeding before the first provisional response */
	SERVER_PROCEEDING, /* a provisional response was sent */
	SERVER_COMPLETED,
	SERVER_CONFIRMED,
	SERVER_ACCEPTED, /* RFC 6026 */
};

struct sip_server_transaction {
	struct sip_transactions *transactions;
	struct table_link link;
	struct list all;
	struct list unproven;       /* alone when it is not given up */
	struct transaction_key key; /* bytes: key_inline or the heap's */
	char key_inline[TRANSACTION_KEY_INLINE];
	struct flow flow;   /* the request came on */
	struct flow target; /* responses go to */
	struct sip_message *request;
	char *response; /* the last one, as long as it may have to be sent again */
	size_t response_length;
	void *user;
	struct timer end;    /* H, I, J, L: the state ends */
	struct timer repeat; /* 100 Trying; G; the 2xx (T1 doubling to T2) */
	uint32_t interval_ms;
	uint8_t state;
	uint8_t method;
	bool cancelled, acknowledged;
};

enum client_state {
	CLIENT_CALLING, /* of non-INVITE: Trying */
	CLIENT_PROCEEDING,
	CLIENT_COMPLETED,
	CLIENT_ACCEPTED, /* RFC 6026 */
};

struct sip_client_transaction {
	struct sip_transactions *transactions;
	struct table_link link, connection_link;
	struct list all;
	struct flow flow;
	char branch[SIP_BRANCH_CAPACITY];
	char *bytes; /* the request while it may be sent again or built from; then the ACK of a non-2xx */
	size_t length;
	void *user;
	struct timer end;    /* B, F, D, K, M, and the wait for a cancelled INVITE: the state ends */
	struct timer repeat; /* A, E */
	uint32_t interval_ms;
	uint8_t state;
	uint8_t method;
	bool on_connection; /* in the table `connections` */
	bool internal;      /* our own CANCEL: the user hears nothing of it */
	bool cancel_wanted, cancel_sent;
	char *reason; /* of the CANCEL, or NULL */
	size_t reason_length;
	bool failed; /* the transport failed: said when `end` fires */
};

/* transaction.c */
int transactions_send(struct sip_transactions *transactions, const struct flow *flow, struct span bytes);
/* 64*T1, the time after which a request is given up (RFC 3261 sections 17.1.1.2, 17.1.2.2). */
static inline uint64_t transactions_patience_ms(const struct sip_transactions *transactions)
{
	return 64ull * transactions->limits.t1_ms;
}
/* Keeps a copy of `bytes` in the heap block *kept of *length bytes. Returns 0, or -ENOMEM with the old one kept. */
int transactions_keep(char **kept, size_t *length, struct span bytes);
void transactions_drop(char **kept, size_t *length);

/* transaction_key.c */
/* Writes the key of `message` that came on `flow` into `out`; `method` stands for the request's (the
 * INVITE's for its ACK and CANCEL). False when it is longer than `capacity`. */
bool transaction_key_write(const struct sip_transactions *transactions, const struct flow *flow,
			   const struct sip_message *message, enum sip_method method, char *out, size_t capacity,
			   struct transaction_key *key);
/* The same request, of a zone that has another number now. */
void transaction_key_zone_set(const struct sip_transactions *transactions, struct transaction_key *key, uint8_t zone);
bool transaction_server_equal(const struct table_link *link, const void *key);

/* transaction_build.c */
/* All write into the layer's scratch memory and return the message, or the empty span when it does not fit. */
struct span transaction_build_trying(struct sip_transactions *transactions, const struct flow *flow,
				     const struct sip_message *request);
/* A final answer to a request without a transaction of its own: CANCEL, and what a full table refuses.
 * The To tag is a keyed hash, the same for every copy; `to_tag` overrides it when not empty. */
struct span transaction_build_answer(struct sip_transactions *transactions, const struct flow *flow,
				     const struct sip_message *request, uint16_t status, struct span to_tag,
				     uint32_t retry_after_s);
/* From our own INVITE: its CANCEL (RFC 3261 section 9.1), and the ACK of its non-2xx `response` (section 17.1.1.3). */
struct span transaction_build_cancel(struct sip_transactions *transactions, struct span invite, struct span reason);
struct span transaction_build_ack(struct sip_transactions *transactions, struct span invite,
				  const struct sip_message *response);
/* The To tag of a response that we sent ourselves; empty without one. */
struct span transaction_response_tag(struct sip_transactions *transactions, struct span response);

/* transaction_server.c */
void transaction_server_receive(struct sip_transactions *transactions, const struct flow *flow,
				const struct sip_message *request);
void transaction_server_free(struct sip_server_transaction *server);
/* Into the tables, its timers not running. */
void transaction_server_enter(struct sip_server_transaction *server);

/* transaction_client.c */
void transaction_client_receive(struct sip_transactions *transactions, const struct flow *flow,
				const struct sip_message *response);
void transaction_client_free(struct sip_client_transaction *client);
/* Into the tables, with the timers of a request just sent. */
void transaction_client_enter(struct sip_client_transaction *client);
bool transaction_client_equal(const struct table_link *link, const void *key);
bool transaction_connection_equal(const struct table_link *link, const void *key);

#endif
