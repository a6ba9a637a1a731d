package script

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	tokEOF     tokenKind = iota
	tokPunct             // one character, or "..."
	tokWord              // letters, digits and underscores that are no number
	tokInt               // decimal, maybe negative
	tokHex               // 0x…
	tokFloat             // .5, 0.25
	tokString            // "…"
	tokCommand           // `…`
	tokCode              // %{ … }%
	tokOption            // --name
	tokAddr              // IP address
)

type token struct {
	kind tokenKind
	text string
	num  int64 // of tokInt and tokHex
	line int
	tied bool // no space before it
}

func (t token) String() string {
	if t.kind == tokEOF {
		return "the end of the file"
	}
	return strconv.Quote(t.text)
}

// Error is a mistake in a script or a difference between a script and what happened.
type Error struct {
	File string
	Line int
	Text string
	Err  error // what caused it, or nil
}

// Unwrap returns what caused the error.
func (e *Error) Unwrap() error { return e.Err }

// Error is "file:line: text".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// lex cuts a script into tokens. As packetdrill's grammar has it, the longest token wins: 3000a is a word.
func lex(file, src string) ([]token, error) {
	var tokens []token
	line, i, spaced := 1, 0, true
	add := func(kind tokenKind, text string, length int) {
		tokens = append(tokens, token{kind: kind, text: text, line: line, tied: !spaced})
		line += strings.Count(src[i:i+length], "\n")
		i += length
		spaced = false
	}
	fail := func(format string, args ...any) error {
		return &Error{File: file, Line: line, Text: fmt.Sprintf(format, args...)}
	}
	quoted := func(kind tokenKind, quote byte) error {
		for j := i + 1; j < len(src); j++ {
			switch src[j] {
			case '\\':
				j++
			case quote:
				add(kind, src[i+1:j], j+1-i)
				return nil
			}
		}
		return fail("%c without its end", quote)
	}
	for i < len(src) {
		rest := src[i:]
		if n := blank(rest); n < 0 {
			return nil, fail("comment without its end")
		} else if n > 0 {
			line += strings.Count(rest[:n], "\n")
			i += n
			spaced = true
			continue
		}
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "%{"):
			end := strings.Index(rest, "}%")
			if end < 0 {
				return nil, fail("%%{ without its }%%")
			}
			add(tokCode, rest[2:end], end+2)
		case c == '"', c == '`':
			kind := tokString
			if c == '`' {
				kind = tokCommand
			}
			if err := quoted(kind, c); err != nil {
				return nil, err
			}
		case strings.HasPrefix(rest, "..."):
			add(tokPunct, "...", 3)
		case strings.HasPrefix(rest, "--") && span(rest[2:], isWord) > 0:
			n := span(rest[2:], isWord)
			add(tokOption, rest[2:2+n], 2+n)
		case address(rest) > 0:
			n := address(rest)
			add(tokAddr, rest[:n], n)
		default:
			kind, n := number(rest)
			if w := span(rest, isWord); w > n {
				kind, n = tokWord, w
			}
			if n == 0 {
				kind, n = tokPunct, 1
			}
			text := rest[:n]
			add(kind, text, n)
			if kind == tokInt || kind == tokHex {
				v, err := strconv.ParseInt(text, 0, 64)
				if kind == tokInt { // 010 is ten
					v, err = strconv.ParseInt(text, 10, 64)
				}
				if err != nil {
					return nil, fail("number %s is out of range", text)
				}
				tokens[len(tokens)-1].num = v
			}
		}
	}
	return append(tokens, token{kind: tokEOF, line: line}), nil
}

// blank is the length of white space or a comment at the start of s, -1 if the comment does not end.
func blank(s string) int {
	switch {
	case strings.HasPrefix(s, "//"):
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		n := strings.Index(s[2:], "*/")
		if n < 0 {
			return -1
		}
		return n + 4
	}
	return span(s, func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' })
}

// number is the kind and length of a number at the start of s; length 0: none.
func number(s string) (tokenKind, int) {
	if strings.HasPrefix(s, "0x") {
		if n := span(s[2:], isHex); n > 0 {
			return tokHex, n + 2
		}
	}
	sign := 0
	if strings.HasPrefix(s, "-") {
		sign = 1
	}
	whole := span(s[sign:], isDigit)
	if rest := s[sign+whole:]; strings.HasPrefix(rest, ".") {
		if n := span(rest[1:], isDigit); n > 0 {
			return tokFloat, sign + whole + 1 + n
		}
	}
	if whole > 0 {
		return tokInt, sign + whole
	}
	return tokPunct, 0
}

// address is the length of an IP address at the start of s. 1:1001 is none: it is a range of sequence numbers.
func address(s string) int {
	n := span(s, func(c byte) bool { return isHex(c) || c == ':' || c == '.' })
	text := strings.TrimRight(s[:n], ".")
	if strings.Count(text, ".") != 3 && !strings.Contains(text, "::") {
		return 0
	}
	if _, err := netip.ParseAddr(text); err != nil {
		return 0
	}
	return len(text)
}

func span(s string, is func(byte) bool) int {
	for i := range len(s) {
		if !is(s[i]) {
			return i
		}
	}
	return len(s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}
