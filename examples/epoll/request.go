package main

import (
	"bytes"
	"strconv"
)

// request is what the server needs to know of one.
type request struct {
	status  int   // of the answer
	content int64 // bytes of content that follow the header
	length  bool  // there was a Content-Length
	head    bool  // the method is HEAD
	close   bool  // the connection is to be closed after the answer
}

// parse reads the header of the request that data begins with (RFC 9112) and returns its size, 0: it is not whole.
func parse(data []byte) (r request, size int) {
	minor, host, first := 1, false, true
	for {
		i := bytes.IndexByte(data[size:], '\n')
		if i < 0 {
			return r, 0
		}
		line := data[size : size+i]
		size += i + 1
		switch {
		case len(line) == 0 || line[len(line)-1] != '\r': // a bare LF
			r.status, first = 400, false
		case len(line) == 1 && first: // RFC 9112 §2.2: empty lines before it
		case len(line) == 1:
			if !host && minor > 0 { // RFC 9112 §3.2
				r.status = 400
			}
			return r, size
		case first:
			first = false
			minor = r.line(line[:len(line)-1])
			r.close = minor == 0 // HTTP/1.0 closes unless it is asked not to
		default:
			r.field(line[:len(line)-1], minor, &host)
		}
	}
}

// line reads the request line and returns the minor version.
func (r *request) line(line []byte) (minor int) {
	r.status = 400
	n := tokenLen(line)
	if n == 0 || n == len(line) || line[n] != ' ' {
		return 1
	}
	method, rest := line[:n], line[n+1:]
	n = len(rest) - len(" HTTP/1.1")
	if n <= 0 || !isVisible(rest[:n]) {
		return 1
	}
	version := rest[n:]
	if string(version[:6]) != " HTTP/" || !isDigit(version[6]) || version[7] != '.' || !isDigit(version[8]) {
		return 1
	}
	if version[6] != '1' {
		r.status = 505
		return 1
	}
	switch string(method) {
	case "GET":
		r.status = 200
	case "HEAD":
		r.status, r.head = 200, true
	case "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE":
		r.status = 405
	default:
		r.status = 501
	}
	return int(version[8] - '0')
}

// field reads a line of the header.
func (r *request) field(line []byte, minor int, host *bool) {
	n := tokenLen(line)
	if n == 0 || n == len(line) || line[n] != ':' { // a space before the colon, too: RFC 9112 §5.1
		r.status = 400
		return
	}
	name, value := line[:n], line[n+1:]
	switch n { // most names end here
	case len("host"):
		if is(name, "host") {
			if *host { // RFC 9112 §3.2
				r.status = 400
			}
			*host = true
		}
	case len("connection"):
		if is(name, "connection") {
			r.connection(trim(value), minor)
		}
	case len("content-length"):
		if is(name, "content-length") {
			r.contentLength(trim(value))
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") && r.status == 200 { // none is understood here
			r.status = 501
		}
	}
}

// is compares a token with one in lower case, of the same length, whatever its own case: nothing else becomes a letter
// or a hyphen by that bit.
func is(token []byte, lower string) bool {
	for i, c := range token {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// contentLength reads the field Content-Length: RFC 9112 §6.3.
func (r *request) contentLength(value []byte) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || !isDigit(value[0]) || r.length && n != r.content {
		r.status = 400
		return
	}
	r.content, r.length = n, true
}

// connection reads the field Connection: RFC 9112 §9.3.
func (r *request) connection(value []byte, minor int) {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, []byte(","))
		option = trim(option)
		switch {
		case bytes.EqualFold(option, []byte("close")):
			r.close = true
			return
		case minor == 0 && bytes.EqualFold(option, []byte("keep-alive")):
			r.close = false
		}
	}
}

// trim takes off the white space around a value.
func trim(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// tokenLen is the length of the token that s begins with: RFC 9110 §5.6.2.
func tokenLen(s []byte) int {
	for i, c := range s {
		if !tokenChars[c] {
			return i
		}
	}
	return len(s)
}

var tokenChars = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] = true
	}
	return t
}()

func isVisible(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
