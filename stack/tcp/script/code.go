package script

import (
	"fmt"
	"strings"
)

// Code is a %{ … }% block: assertions about TCP_INFO in the part of Python that they need.
type Code struct {
	statements []statement
}

// statement is one of: assert expr[, message] · print(…) · name = expr · name += expr
type statement struct {
	line    int
	text    string // as written, for errors
	assert  bool
	name    string // of an assignment
	value   node
	message node // of an assert, nil: none
}

// parseCode reads a block; t is its token.
func parseCode(file string, t token) (*Code, error) {
	c := &Code{}
	for i, s := range splitStatements(t.text) {
		s.text = strings.TrimSpace(s.text)
		if s.text == "" {
			continue
		}
		st, err := parseStatement(s.text)
		if err != nil {
			return nil, &Error{File: file, Line: t.line + s.line, Text: fmt.Sprintf("code statement %d: %v", i+1, err)}
		}
		st.line, st.text = t.line+s.line, s.text
		c.statements = append(c.statements, st)
	}
	return c, nil
}

// splitStatements cuts at newlines and semicolons outside of brackets and strings, and drops comments. The lines
// count from 0.
func splitStatements(text string) (list []statement) {
	var b strings.Builder
	line, from, depth := 0, 0, 0
	quote := byte(0)
	flush := func() {
		list = append(list, statement{line: from, text: b.String()})
		b.Reset()
		from = line
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '\\' && i+1 < len(text) && text[i+1] == '\n':
			i++
			line++
			continue
		case c == '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
			continue
		}
		if c == '\n' {
			line++
		}
		if quote == 0 && depth <= 0 && (c == '\n' || c == ';') {
			flush()
			continue
		}
		b.WriteByte(c)
	}
	flush()
	return list
}

func parseStatement(text string) (st statement, err error) {
	p := &codeParser{s: text}
	word := p.word()
	switch word {
	case "assert":
		st.assert = true
		if st.value, err = p.or(); err != nil {
			return st, err
		}
		if p.take(",") {
			if st.message, err = p.or(); err != nil {
				return st, err
			}
		}
	case "print":
		if st.value, err = p.tuple(); err != nil {
			return st, err
		}
	case "if", "for", "while", "def", "import", "from", "class", "try", "with":
		return st, fmt.Errorf("%s is not supported: only assert, print and assignments are", word)
	default:
		st.name = word
		add := p.take("+=")
		if word == "" || !add && !p.take("=") || strings.HasPrefix(p.s, "=") {
			return st, fmt.Errorf("expected assert, print or an assignment, found %q", text)
		}
		if st.value, err = p.or(); err != nil {
			return st, err
		}
		if add {
			st.value = arithmetic("+", variable(word), st.value)
		}
	}
	if p.space(); p.s != "" {
		return st, fmt.Errorf("unexpected %q", p.s)
	}
	return st, nil
}

// run evaluates the block over the values in vars; it returns the line and what is wrong.
func (c *Code) run(vars map[string]float64) (line int, err error) {
	for _, s := range c.statements {
		v, err := s.value(vars)
		if err != nil {
			return s.line, fmt.Errorf("%s: %w", s.text, err)
		}
		switch {
		case s.name != "":
			f, ok := v.(float64)
			if !ok {
				return s.line, fmt.Errorf("%s: only numbers are assigned", s.text)
			}
			vars[s.name] = f
		case s.assert && !truth(v):
			if s.message == nil {
				return s.line, fmt.Errorf("%s: does not hold", s.text)
			}
			m, err := s.message(vars)
			if err != nil {
				return s.line, fmt.Errorf("%s: does not hold (its message: %w)", s.text, err)
			}
			return s.line, fmt.Errorf("%s: does not hold: %v", s.text, m)
		}
	}
	return 0, nil
}
