/* SPDX-License-Identifier: Apache-2.0
 * Media streams and events as messages, and back. */
#ifndef RINGWALL_ROLES_STREAMS_H
#define RINGWALL_ROLES_STREAMS_H

#include "ipc/ipc.h"
#include "media/media.h"

/* Both copy keys; the caller wipes what it made. */
void stream_to_message(const struct media_stream *stream, struct ipc_message *message);
void stream_from_message(const struct ipc_stream_set *message, struct media_stream *stream);

void event_to_message(const struct media_event *event, struct ipc_message *message);
/* False when the message names no known kind of event, stream or side. */
bool event_from_message(const struct ipc_session_event *message, struct media_event *event);

#endif
