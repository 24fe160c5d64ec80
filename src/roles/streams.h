/* SPDX-License-Identifier: Apache-2.0
 * Media streams and events as messages, and back. */
#ifndef RINGWALL_ROLES_STREAMS_H
#define RINGWALL_ROLES_STREAMS_H

#include "base/evidence.h"
#include "ipc/ipc.h"
#include "media/media.h"

/* Both copy keys; the caller wipes what it made. */
void stream_to_message(const struct media_stream *stream, struct ipc_message *message);
void stream_from_message(const struct ipc_stream_set *message, struct media_stream *stream);

void event_to_message(const struct media_event *event, struct ipc_message *message);
/* A MEDIA_FINDING as evidence; false when it says nothing about its sender. */
bool evidence_from_event(const struct media_event *event, struct evidence *evidence);
void evidence_to_message(const struct evidence *evidence, struct ipc_message *message);
/* False when the kind is unknown. */
bool evidence_from_message(const struct ipc_evidence *message, struct evidence *evidence);

/* MEDIA_KEYED; the caller wipes what it made. False when it cannot be right. */
bool event_from_keyed(const struct ipc_keyed *message, struct media_event *event);

/* False when the message names no known kind of event, stream or side. */
bool event_from_message(const struct ipc_session_event *message, struct media_event *event);

#endif
