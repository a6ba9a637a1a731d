package posix

import (
	"testing"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/netstack"
	"github.com/fstack-go/fstack/stack/tcp"
)

// overNetstack is a table over gVisor's netstack, which has loopback only.
func overNetstack(t *testing.T) calls {
	st := stack.New(realClock())
	n, err := netstack.New(st, netstack.Config{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Destroy)
	st.AddLayer(n)
	table := New(st, n)
	turn(t, st)
	return table
}

// gvisor is how gVisor's TCP is unlike Linux.
var gvisor = map[string][]string{
	"half-close": { // it forgets in LAST-ACK that the peer has ended
		"hung up: 1 1/0[IN OUT] ok", "poll: [IN OUT] ok", "unasked: 0 ok",
	},
	"shutdown of reading": { // it resets a connection when data come then
		"write: -1 ECONNABORTED", "the peer reads the end: -1 \"\" ECONNRESET", "both: ENOTCONN", "write: -1 EPIPE",
	},
	"after the end": {
		"TIME-WAIT: getpeername: ok", "TIME-WAIT: connect: ok", "after LAST-ACK: connect: EINVAL",
	},
	"reset after the end":                        {"waited in vain for [ERR]"},
	"data for who is shut down":                  {"waited in vain for [ERR]"},
	"shutdown of a socket that is not connected": {"readiness then: [OUT HUP] ok", "read then: -1 \"\" ENOTCONN"},
	"shutdown both":                              {"readiness: [IN OUT] ok", "twice: ok", "the peer: [IN OUT] ok"},
	"a socket that is not connected":             {"connect: EINVAL"},
	"connect refused": { // it is the end of a gVisor socket
		"it is taken: 111 ok", "readiness then: 1 1/0[IN OUT ERR HUP RDHUP] ok", "the same socket again: ECONNABORTED",
		"waited in vain for [IN]",
	},
	"write after the peer has closed": {"waited in vain for [ERR]"},
	"urgent data":                     {"send: 0 ENOTSUP", "waited in vain for [PRI]"}, // it has none
	"options": {
		"oobinline: 0 ENOPROTOOPT", "set oobinline: ENOPROTOOPT", "oobinline now: 0 ENOPROTOOPT",
		"rcvlowat: 0 ENOPROTOOPT", "set rcvlowat: ENOPROTOOPT", "rcvlowat now: 0 ENOPROTOOPT",
		"v6only of inet: 0 ENOPROTOOPT", "level 9999: 0 ENOPROTOOPT",
	},
}

func TestOracleDescriptorsOverNetstack(t *testing.T) {
	oracle(t, descriptorCases, overNetstack, gvisor)
}

func TestOracleStreamsOverNetstack(t *testing.T) { oracle(t, streamCases, overNetstack, gvisor) }

func TestOracleDatagramsOverNetstack(t *testing.T) { oracle(t, datagramCases, overNetstack, gvisor) }

// overTCP is a table over our own TCP and, for all else, netstack.
func overTCP(t *testing.T) calls {
	st := stack.New(realClock())
	n, err := netstack.New(st, netstack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Destroy)
	own, err := tcp.New(st, n, tcp.Config{Connections: 1024, Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Destroy() })
	st.AddLayer(own)
	st.AddLayer(n)
	table := New(st, own, n)
	turn(t, st)
	return table
}

func TestOracleDescriptorsOverTCP(t *testing.T) { oracle(t, descriptorCases, overTCP, nil) }

func TestOracleStreamsOverTCP(t *testing.T) { oracle(t, streamCases, overTCP, nil) }

func TestOracleDatagramsOverTCP(t *testing.T) { oracle(t, datagramCases, overTCP, nil) }
