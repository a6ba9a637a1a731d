package main

import (
	"bytes"
	"strconv"
)

// answer is a head that a server sent. Servers send the same again and again, with a new date once a second: one that is
// known need not be read.
type answer struct {
	head []byte
	body int64 // bytes, or toFIN
	good bool  // status 2xx
}

const maxHead = 16 << 10

// ask begins a request.
func (l *client) ask(i uint32, c *conn) {
	c.phase = asked
	l.want(i, sendRequest)
}

// take consumes stream data in order. It returns false if the connection is gone.
func (l *client) take(i uint32, c *conn, p []byte) bool {
	if l.mode == modeSink || l.mode == modeSource {
		return true
	}
	for len(p) > 0 {
		switch c.phase {
		case quiet: // nothing was asked
			l.fail(i, &l.counters.BadAnswers, true)
			return false
		case asked:
			n, ok := l.readHead(i, p)
			if !ok {
				l.fail(i, &l.counters.BadAnswers, true)
				return false
			}
			if n == 0 { // all taken, and more to come
				return true
			}
			p = p[n:]
			if !l.answer.good {
				l.counters.BadStatus++
			}
			c.phase, c.left = inBody, l.answer.body
		}
		if c.left == toFIN {
			return true
		}
		n := min(c.left, int64(len(p)))
		p, c.left = p[n:], c.left-n
		if c.left == 0 {
			l.answered(i, c)
		}
	}
	return true
}

// answered ends a request and begins the next.
func (l *client) answered(i uint32, c *conn) {
	l.latency.add(l.now - c.begun)
	l.counters.Requests++
	c.phase = quiet
	l.timers[i] = 0
	if l.stopping || l.mode == modeConnect {
		l.end(i, c)
		return
	}
	c.begun = l.now
	l.ask(i, c)
}

// readHead reads an answer's head from p, into l.answer, and returns how much of p it is. A head that is not whole yet
// is kept: then n is 0.
func (l *client) readHead(i uint32, p []byte) (n int, ok bool) {
	kept := l.partial[i] // nearly always there is none in all
	if len(kept) == 0 && len(l.answer.head) > 0 && bytes.HasPrefix(p, l.answer.head) {
		return len(l.answer.head), true
	}
	all := p
	if len(kept) > 0 {
		all = append(kept, p...)
	}
	end := bytes.Index(all, []byte("\r\n\r\n"))
	if end < 0 {
		l.partial[i] = append(kept, p...)
		return 0, len(all) < maxHead
	}
	if len(kept) > 0 {
		delete(l.partial, i)
	}
	end += 4
	if !l.answer.read(all[:end]) {
		return 0, false
	}
	return end - len(kept), true
}

// read takes a head apart. It returns false for one that the client does not understand.
func (a *answer) read(head []byte) bool {
	a.head = a.head[:0]
	status, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(status) < 12 || !bytes.HasPrefix(status, []byte("HTTP/1.")) || status[8] != ' ' || status[9] == '1' {
		return false
	}
	a.good, a.body = status[9] == '2', toFIN
	for len(rest) > 2 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil || n < 0 {
				return false
			}
			a.body = n
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return false
		}
	}
	if code := string(status[9:12]); code == "204" || code == "304" { // RFC 9112 §6.3
		a.body = 0
	}
	a.head = append(a.head, head...)
	return true
}
