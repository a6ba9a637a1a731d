package script

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads a script. file is its name in errors, which are of type *Error.
func Parse(file string, src []byte) (*Script, error) {
	tokens, err := lex(file, string(src))
	if err != nil {
		return nil, err
	}
	p := &parser{file: file, tokens: tokens, defines: map[string]token{}}
	s := &Script{File: file}
	if err := p.script(s); err != nil {
		return nil, err
	}
	return s, nil
}

type parser struct {
	file    string
	tokens  []token
	pos     int
	defines map[string]token // --define=NAME=value
	depth   int              // of nested expressions
}

const maxDepth = 32 // of nested expressions, so that no script overflows the stack

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	if t.kind == tokWord {
		if d, ok := p.defines[t.text]; ok {
			d.line = t.line
			return d
		}
	}
	return t
}

func (p *parser) fail(t token, format string, args ...any) error {
	return &Error{File: p.file, Line: t.line, Text: fmt.Sprintf(format, args...)}
}

// accept takes the next token if it is that punctuation or word.
func (p *parser) accept(text string) bool {
	t := p.peek()
	if (t.kind == tokPunct || t.kind == tokWord) && t.text == text {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if p.accept(text) {
		return nil
	}
	return p.fail(p.peek(), "expected %q, found %v", text, p.peek())
}

// integer takes an integer from lo to hi; what names it in errors.
func (p *parser) integer(what string, lo, hi int64) (int64, error) {
	t := p.next()
	if t.kind != tokInt && t.kind != tokHex {
		return 0, p.fail(t, "expected %s, found %v", what, t)
	}
	if t.num < lo || t.num > hi {
		return 0, p.fail(t, "%s %d is not in %d … %d", what, t.num, lo, hi)
	}
	return t.num, nil
}

func (p *parser) script(s *Script) error {
	for p.peek().kind == tokOption {
		o, err := p.option()
		if err != nil {
			return err
		}
		s.Options = append(s.Options, o)
	}
	if t := p.peek(); t.kind == tokCommand {
		s.Init = p.next().text
	}
	for p.peek().kind != tokEOF {
		if t := p.peek(); t.kind == tokCommand {
			s.Cleanup = p.next().text
			if end := p.peek(); end.kind != tokEOF {
				return p.fail(end, "%v after the cleanup command", end)
			}
			return nil
		}
		e, err := p.event()
		if err != nil {
			return err
		}
		s.Events = append(s.Events, e)
	}
	if len(s.Events) == 0 {
		return p.fail(p.peek(), "a script without an event")
	}
	return nil
}

// option: --name or --name=value, with no space within.
func (p *parser) option() (Option, error) {
	t := p.next()
	o := Option{Line: t.line, Name: t.text}
	if !p.accept("=") {
		return o, nil
	}
	var value strings.Builder
	first := p.peek()
	for n := 0; n == 0 || p.peek().tied; n++ {
		v := p.next()
		if v.kind == tokEOF {
			return o, p.fail(v, "--%s= without a value", o.Name)
		}
		if o.Name == "define" && n == 2 {
			p.defines[first.text] = v
		}
		value.WriteString(v.text)
	}
	o.Value = value.String()
	return o, nil
}

func (p *parser) event() (e Event, err error) {
	start := p.peek()
	if e.Time, err = p.time(); err != nil {
		return e, err
	}
	e.Line = start.line
	t := p.peek()
	switch {
	case t.kind == tokCommand:
		e.Command = p.next().text
	case t.kind == tokCode:
		p.pos++
		e.Code, err = parseCode(p.file, t)
	case t.kind == tokPunct && (t.text == "<" || t.text == ">"):
		e.Packet, err = p.packet()
	default:
		e.Call, err = p.call()
	}
	if err != nil {
		return e, err
	}
	if k := e.Time.Kind; k >= AbsoluteRange && (e.Packet == nil || !e.Packet.Out) {
		return e, p.fail(start, "a time range or * is only for outgoing packets")
	}
	return e, nil
}

func (p *parser) time() (t Time, err error) {
	if p.accept("*") {
		return Time{Kind: Any}, nil
	}
	relative := p.accept("+")
	if t.At, err = p.seconds(); err != nil {
		return t, err
	}
	if relative {
		t.Kind = Relative
	}
	if !p.accept("~") {
		return t, nil
	}
	if relative {
		t.Kind = RelativeRange
		if err := p.expect("+"); err != nil {
			return t, err
		}
	} else {
		t.Kind = AbsoluteRange
	}
	at := p.peek()
	if t.End, err = p.seconds(); err == nil && t.End < t.At {
		err = p.fail(at, "the time range ends before it begins")
	}
	return t, err
}

// seconds takes a time and returns nanoseconds.
func (p *parser) seconds() (int64, error) {
	t := p.next()
	if t.kind != tokInt && t.kind != tokFloat {
		return 0, p.fail(t, "expected a time in seconds, found %v", t)
	}
	v, err := strconv.ParseFloat(t.text, 64)
	if err != nil || v < 0 || v > 1e9 {
		return 0, p.fail(t, "time %s is not in 0 … 1000000000 seconds", t.text)
	}
	return int64(math.Round(v*1e6)) * 1000, nil // packetdrill's grain is the microsecond
}
