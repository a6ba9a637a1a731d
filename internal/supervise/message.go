package supervise

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/fstack-go/fstack/control"
)

// Kind says what a Message is about.
type Kind string

// What a worker says.
const (
	Hello    Kind = "hello"    // first of all: which version it is
	Attached Kind = "attached" // it shares the memory, and would open its queues
	Up       Kind = "up"       // its stack runs; Facts says how
	Answer   Kind = "answer"   // to the question of the same ID
	Done     Kind = "done"     // its application has returned
)

// What a supervisor says. Those that want an answer have an ID.
const (
	Welcome  Kind = "welcome"  // go on, the version fits
	Refuse   Kind = "refuse"   // it does not, Error says why
	Open     Kind = "open"     // open the queues as Paths say, and start the stack
	Run      Kind = "run"      // run the application
	SetPaths Kind = "setpaths" // go over to Paths
	Tell     Kind = "tell"     // answer with Facts
	Reload   Kind = "reload"   // Text is the new config
	End      Kind = "end"      // end because of Why: close the listeners, serve what is open, for Within
)

// Path is how a worker reaches a port: it polls a queue, or frames come and go by way of another slot.
type Path struct {
	Queue    int    `json:"queue"`    // -1: none
	Via      int    `json:"via"`      // slot, if there is no queue
	Key      []byte `json:"key"`      // of the port's RSS
	Hardware bool   `json:"hardware"` // the port's device spreads flows as the map says
}

// Message is one line between a supervisor and a worker.
type Message struct {
	Kind     Kind          `json:"kind"`
	ID       uint64        `json:"id,omitempty"`
	Error    string        `json:"error,omitempty"`
	Version  *Version      `json:"version,omitempty"`
	Facts    *Facts        `json:"facts,omitempty"`
	Paths    []Path        `json:"paths,omitempty"` // by port
	Text     string        `json:"text,omitempty"`
	Name     string        `json:"name,omitempty"` // of the file that Text is of
	Lines    []string      `json:"lines,omitempty"`
	Within   time.Duration `json:"within,omitempty"`
	Why      string        `json:"why,omitempty"`
	Replaced bool          `json:"replaced,omitempty"` // with End: another version has taken over
	Asked    bool          `json:"asked,omitempty"`    // with Done: the worker was asked to end
}

// Version is what must be the same on both sides, as they share memory.
type Version struct {
	Protocol string `json:"protocol"` // of the messages and of all that lies in shared memory
	DPDK     string `json:"dpdk"`
	Module   string `json:"module"` // may differ
}

// Facts are what a worker knows of itself.
type Facts struct {
	Pinned     bool            `json:"pinned"`
	Threads    int             `json:"threads"`
	Queues     []control.Queue `json:"queues"`
	MbufsInUse int             `json:"mbufs_in_use"`
	MbufsTotal int             `json:"mbufs_total"`
}

const (
	messageMax = 1 << 20
	sendWithin = time.Second
)

// Link is one end of the socket pair. Any goroutine may send, one may receive.
type Link struct {
	conn *net.UnixConn
	in   *bufio.Scanner
	mu   sync.Mutex
}

func newLink(c *net.UnixConn) *Link {
	l := &Link{conn: c, in: bufio.NewScanner(c)}
	l.in.Buffer(make([]byte, 0, 4096), messageMax)
	return l
}

// Send sends a message. An error says that the other side is gone, or has not read for long.
func (l *Link) Send(m Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.SetWriteDeadline(time.Now().Add(sendWithin))
	if _, err := l.conn.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("control message %s: %w", m.Kind, err)
	}
	return nil
}

// Receive waits for a message. With an error the other side is gone, or is none of ours.
func (l *Link) Receive() (m Message, err error) {
	if !l.in.Scan() {
		if err = l.in.Err(); err == nil {
			err = net.ErrClosed
		}
		return m, err
	}
	if err := json.Unmarshal(l.in.Bytes(), &m); err != nil {
		return m, fmt.Errorf("control message: %w", err)
	}
	return m, nil
}

// Close closes this end.
func (l *Link) Close() error { return l.conn.Close() }
