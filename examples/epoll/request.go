package main

import (
	"bytes"
	"strconv"
)

// request is what the server needs to know of one.
type request struct {
	status  int   // of the answer
	content int64 // bytes of content that follow the header
	head    bool  // the method is HEAD
	close   bool  // the connection is to be closed after the answer
}

// parse reads the header of the request that data begins with (RFC 9112) and returns its size, 0: it is not whole.
func parse(data []byte) (r request, size int) {
	for len(data)-size >= 2 && data[size] == '\r' && data[size+1] == '\n' { // empty lines before it: RFC 9112 §2.2
		size += 2
	}
	end := bytes.Index(data[size:], []byte("\r\n\r\n"))
	if end < 0 {
		return r, 0
	}
	header := data[size : size+end+2]
	size += end + 4
	line, fields, ok := cutLine(header)
	if !ok {
		return request{status: 400}, size
	}
	minor := r.line(line)
	r.close = minor == 0 // HTTP/1.0 closes unless it is asked not to
	r.fields(fields, minor)
	return r, size
}

// cutLine takes the first line off lines, each of which must end with CR LF.
func cutLine(lines []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(lines, '\n')
	if i < 1 || lines[i-1] != '\r' {
		return nil, nil, false
	}
	return lines[:i-1], lines[i+1:], true
}

// line reads the request line and returns the minor version.
func (r *request) line(line []byte) (minor int) {
	r.status = 400
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !isToken(method) {
		return 1
	}
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(target) == 0 || len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" ||
		!isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) || !isVisible(target) {
		return 1
	}
	if version[5] != '1' {
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
	return int(version[7] - '0')
}

// fields reads the header's lines, each ended by CR LF.
func (r *request) fields(lines []byte, minor int) {
	host, length := false, false
	for len(lines) > 0 {
		line, rest, ended := cutLine(lines)
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ended || !ok || !isToken(name) { // a space before the colon, too: RFC 9112 §5.1
			r.status = 400
			return
		}
		lines, value = rest, bytes.Trim(value, " \t")
		switch len(name) {
		case len("Host"):
			if bytes.EqualFold(name, []byte("Host")) {
				if host { // RFC 9112 §3.2
					r.status = 400
					return
				}
				host = true
			}
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				r.connection(value, minor)
			}
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				n, err := strconv.ParseInt(string(value), 10, 64)
				if err != nil || !isDigit(value[0]) || length && n != r.content { // RFC 9112 §6.3
					r.status = 400
					return
				}
				r.content, length = n, true
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) && r.status == 200 { // none is understood here
				r.status = 501
			}
		}
	}
	if !host && minor > 0 { // RFC 9112 §3.2
		r.status = 400
	}
}

// connection reads the field Connection: RFC 9112 §9.3.
func (r *request) connection(value []byte, minor int) {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, []byte(","))
		option = bytes.Trim(option, " \t")
		switch {
		case bytes.EqualFold(option, []byte("close")):
			r.close = true
			return
		case minor == 0 && bytes.EqualFold(option, []byte("keep-alive")):
			r.close = false
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isToken tells whether s is a token: RFC 9110 §5.6.2.
func isToken(s []byte) bool {
	for _, c := range s {
		if !tokenChars[c] {
			return false
		}
	}
	return len(s) > 0
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
