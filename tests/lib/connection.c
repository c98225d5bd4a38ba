/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - two ends by RFC 9293 and the wall between them, without a bit of the data path's code. */
#include "connection.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

const char *end_state_name(enum end_state state)
{
	static const char *const names[] = {
		[END_CLOSED] = "CLOSED",
		[END_SYN_SENT] = "SYN-SENT",
		[END_SYN_RECEIVED] = "SYN-RECEIVED",
		[END_ESTABLISHED] = "ESTABLISHED",
		[END_FIN_WAIT_1] = "FIN-WAIT-1",
		[END_FIN_WAIT_2] = "FIN-WAIT-2",
		[END_CLOSE_WAIT] = "CLOSE-WAIT",
		[END_CLOSING] = "CLOSING",
		[END_LAST_ACK] = "LAST-ACK",
		[END_TIME_WAIT] = "TIME-WAIT",
		[END_DONE] = "DONE",
	};

	return names[state];
}

/* ---- one end ---------------------------------------------------------------------------------------------- */

static void end_sends_fin(enum end_state *end)
{
	switch (*end) {
	case END_CLOSED: /* adopted: its beginning was not seen */
	case END_SYN_SENT:
	case END_SYN_RECEIVED:
	case END_ESTABLISHED:
		*end = END_FIN_WAIT_1;
		break;
	case END_CLOSE_WAIT:
		*end = END_LAST_ACK;
		break;
	default: /* once more */
		break;
	}
}

static void end_gets_ack(enum end_state *end)
{
	if (*end == END_FIN_WAIT_1)
		*end = END_FIN_WAIT_2;
	else if (*end == END_CLOSING)
		*end = END_TIME_WAIT;
	else if (*end == END_LAST_ACK)
		*end = END_DONE;
}

static void end_gets_fin(enum end_state *end)
{
	if (*end == END_SYN_SENT || *end == END_SYN_RECEIVED || *end == END_ESTABLISHED)
		*end = END_CLOSE_WAIT;
	else if (*end == END_FIN_WAIT_1)
		*end = END_CLOSING;
	else if (*end == END_FIN_WAIT_2)
		*end = END_TIME_WAIT;
}

bool connection_has_fin(enum end_state end)
{
	return end == END_FIN_WAIT_1 || end == END_FIN_WAIT_2 || end == END_CLOSING ||
	       end == END_LAST_ACK || end == END_TIME_WAIT || end == END_DONE;
}

bool connection_fin_is_acked(enum end_state end)
{
	return end == END_FIN_WAIT_2 || end == END_TIME_WAIT || end == END_DONE;
}

/* ---- what an end may send ----------------------------------------------------------------------------------- */

static bool is_handshake_over(const struct connection *c)
{
	return c->is_proven;
}

static bool opener_may_send(const struct connection *c, uint8_t flags)
{
	bool has_heard = c->answerer != END_CLOSED;

	if (flags & RST)
		return true;
	if (flags & SYN) /* with ACK: it answers the SYN that has crossed its own */
		return !(flags & ACK) || (has_heard && !is_handshake_over(c));
	return flags & ACK && (has_heard || c->is_adopted);
}

static bool answerer_may_send(const struct connection *c, uint8_t flags)
{
	bool is_in_it = c->answerer != END_CLOSED || c->is_adopted;

	if (flags & RST) /* the answer to a SYN carries ACK */
		return flags & ACK || is_in_it;
	if (flags & SYN)
		return !connection_has_fin(c->answerer);
	if (!(flags & ACK))
		return false;
	return !(flags & FIN) || is_in_it;
}

/* ---- the connection moves -------------------------------------------------------------------------------------- */

static void opener_speaks(struct connection *c, uint8_t flags)
{
	if (flags &
	    SYN) /* again, or in answer to a crossing one: nothing new until it speaks as an equal */
		return;
	end_gets_ack(&c->answerer);
	if (c->answerer != END_CLOSED)
		c->is_proven = true;
	if (c->is_proven && (c->opener == END_SYN_SENT || c->opener == END_SYN_RECEIVED))
		c->opener = END_ESTABLISHED;
	if (c->is_proven && c->answerer == END_SYN_RECEIVED)
		c->answerer = END_ESTABLISHED;
	if (flags & FIN) {
		end_sends_fin(&c->opener);
		end_gets_fin(&c->answerer);
	}
}

static void answerer_speaks(struct connection *c, uint8_t flags)
{
	if (c->answerer == END_CLOSED)
		c->answerer = connection_has_fin(c->opener) ? END_CLOSE_WAIT : END_SYN_RECEIVED;
	if (flags & SYN)
		return;
	end_gets_ack(&c->opener);
	if (flags & FIN) {
		end_sends_fin(&c->answerer);
		end_gets_fin(&c->opener);
	}
}

static bool is_closed(const struct connection *c)
{
	return c->is_reset || (connection_has_fin(c->opener) && connection_has_fin(c->answerer));
}

static enum patience patience_for(const struct connection *c)
{
	if (!c->is_proven)
		return PATIENCE_HALF_OPEN;
	if (is_closed(c))
		return PATIENCE_CLOSING;
	return connection_has_fin(c->opener) || connection_has_fin(c->answerer)
		       ? PATIENCE_HALF_CLOSED
		       : PATIENCE_ESTABLISHED;
}

/* True if it was legal. */
static bool follow(struct connection *c, bool is_opener, uint8_t flags)
{
	if (is_opener ? !opener_may_send(c, flags) : !answerer_may_send(c, flags))
		return false;
	if (flags & RST) {
		c->is_reset = true;
		c->patience = PATIENCE_RESET;
		return true;
	}
	c->is_reset = false;
	if (is_opener)
		opener_speaks(c, flags);
	else
		answerer_speaks(c, flags);
	if (c->answerer != END_CLOSED) /* what has no answer keeps its first deadline */
		c->patience = patience_for(c);
	return true;
}

/* ---- the wall ----------------------------------------------------------------------------------------------------- */

static bool is_syn(uint8_t flags)
{
	return (flags & (SYN | ACK)) == SYN;
}

static void begin(struct connection *c, enum connection_way opened, bool is_adopted, bool is_answer)
{
	*c = (struct connection){ .is_known = true,
				  .opened = opened,
				  .is_adopted = is_adopted,
				  .opener = END_SYN_SENT,
				  .answerer = is_answer ? END_SYN_RECEIVED : END_CLOSED,
				  .patience = PATIENCE_HALF_OPEN };
}

/* A segment that no session carries. */
static enum passage judge(struct connection *c, const struct wall *wall, enum connection_way way,
			  uint8_t flags)
{
	bool begins = is_syn(flags) || (flags & ACK && !(flags & (FIN | RST)) && !wall->strict);

	if (wall->allows[way]) {
		if (begins)
			begin(c, way, !is_syn(flags), false);
		return PASSED_BY_POLICY;
	}
	if (is_syn(flags) || wall->strict || !wall->may_adopt_answers || !wall->allows[!way])
		return DROPPED_BY_POLICY;
	if (begins)
		begin(c, !way, true, true);
	return PASSED_BY_POLICY;
}

/* A SYN against the direction in which the connection was opened. */
static enum passage cross(struct connection *c, const struct wall *wall, enum connection_way way)
{
	if (!wall->allows[way])
		return DROPPED_BY_POLICY;
	if (c->answerer == END_CLOSED) {
		c->answerer = END_SYN_RECEIVED;
		c->is_reset = false;
		c->patience = patience_for(c);
	}
	return PASSED_BY_POLICY;
}

struct opinion connection_sees(struct connection *c, const struct wall *wall,
			       enum connection_way way, uint8_t flags)
{
	struct opinion opinion = { .passage = PASSED_BY_SESSION };
	bool is_opener = way == c->opened;

	if (!c->is_known || c->is_expired || (is_syn(flags) && is_closed(c))) {
		opinion.passage = judge(c, wall, way, flags);
		return opinion;
	}
	if (is_syn(flags) && !is_opener) {
		opinion.passage = cross(c, wall, way);
		return opinion;
	}
	if (c->is_doubtful) {
		if (!wall->allows[c->opened]) {
			opinion.passage = DROPPED_BY_POLICY;
			return opinion;
		}
		c->is_doubtful = false;
		opinion.passage = PASSED_BY_POLICY;
	}
	opinion.is_illegal = !follow(c, is_opener, flags);
	return opinion;
}
